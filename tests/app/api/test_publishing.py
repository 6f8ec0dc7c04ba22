"""Asking for a pull request over JSON: it is taken down, and its way can be followed."""

from httpx import AsyncClient

from app.models import MergeRequest, Push
from app.services.context import Context
from tests.app.house import HEAD, House

URL = "https://example.org/ada/shop/pull/7"


async def test_a_pull_request_is_asked_for_and_followed(
    api: AsyncClient, ctx: Context, house: House
) -> None:
    path = f"/reviews/{house.request}/pull"
    assert (await api.get(path)).status_code == 404
    answer = await api.post(path, json={"remote": "fork"})
    asked = answer.json()
    assert (answer.status_code, asked["state"], asked["remote"]) == (201, "queued", "fork")
    assert (asked["sha"], asked["pull_url"]) == (HEAD, "")
    with ctx.db.write() as db:
        db.get_one(Push, 1).state = "done"
        db.get_one(MergeRequest, house.request).pull_url = URL
    assert (await api.get(path)).json()["pull_url"] == URL
    assert (await api.post("/reviews/4711/pull", json={})).status_code == 404
