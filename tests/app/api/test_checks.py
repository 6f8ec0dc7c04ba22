"""Checks over JSON: the state and all runs, the log by offset, rerun and cancel."""

import pytest
from httpx import AsyncClient

from app.models import Check, MergeRequest
from app.models.base import utc_now
from app.services.context import Context
from tests.app.factories import save
from tests.app.house import HEAD, House

TREE = "c" * 40


@pytest.fixture
def failed(ctx: Context, house: House) -> Check:
    """A check of the tree that the house's request has now, with its log."""
    with ctx.db.write() as db:
        db.get_one(MergeRequest, house.request).tree_sha = TREE
    check = save(
        ctx,
        Check(
            repository_id=1, merge_request_id=house.request, head_sha=HEAD, base_sha=HEAD,
            tree_sha=TREE, command="make it", state="failed", exit_code=2, output_tail="ö",
            started_at=utc_now(), ended_at=utc_now(),
        ),
    )  # fmt: skip
    ctx.home.checks().mkdir(exist_ok=True)
    (ctx.home.checks() / f"{check.id}.log").write_text("ö\n" * 40_000)
    return check


async def test_one_is_shown_with_all_runs_of_its_tree(api: AsyncClient, failed: Check) -> None:
    shown = (await api.get(f"/checks/{failed.id}")).json()
    assert (shown["state"], shown["exit_code"], shown["is_flaky"]) == ("failed", 2, False)
    assert [run["run"] for run in shown["runs"]] == [1]
    newest = (await api.get(f"/reviews/{failed.merge_request_id}/checks")).json()[0]
    assert newest == shown
    missing = await api.get("/checks/4711")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


async def test_the_log_is_read_on_by_offset(api: AsyncClient, failed: Check) -> None:
    text, offset, is_over = "", 0, False
    while not is_over:
        piece = (await api.get(f"/checks/{failed.id}/log", params={"offset": offset})).json()
        text, offset, is_over = text + piece["text"], piece["next_offset"], piece["is_over"]
    assert text == "ö\n" * 40_000
    assert offset == 120_000


async def test_it_runs_again_and_is_stopped(api: AsyncClient, ctx: Context, failed: Check) -> None:
    answer = await api.post(f"/checks/{failed.id}/rerun")
    again = answer.json()
    assert (answer.status_code, again["state"], again["run"]) == (201, "queued", 2)
    assert [run["state"] for run in again["runs"]] == ["failed", "queued"]
    assert (await api.post(f"/checks/{failed.id}/rerun")).status_code == 409
    stopped = (await api.post(f"/checks/{again['id']}/cancel")).json()
    assert stopped["state"] == "stale"
    assert (await api.post(f"/checks/{again['id']}/cancel")).status_code == 409
    verbs = [row["verb"] for row in (await api.get("/decisions")).json()]
    assert verbs[:2] == ["cancel", "rerun"]
    with ctx.db.write() as db:
        save_passed(db.get_one(Check, again["id"]))
    assert (await api.get(f"/checks/{failed.id}")).json()["is_flaky"]


def save_passed(check: Check) -> None:
    check.state = "passed"
