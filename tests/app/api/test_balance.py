"""The balancer over HTTP: its mode, its decisions with their numbers, and the human's word."""

from datetime import timedelta
from pathlib import Path

import pytest
from httpx import AsyncClient

from app.models.base import utc_now
from app.services.context import Context
from app.services.dispatch import dispatch
from tests.app.services.ports import Harbour


@pytest.fixture
def harbour(ctx: Context, tmp_path: Path) -> Harbour:
    """A task that waits for a dry account, while another one has room; the advice is given."""
    harbour = Harbour(ctx, tmp_path / "logins")
    dry = harbour.login("Dry", 100)
    harbour.limit(dry, utc_now() + timedelta(hours=4))
    harbour.agent("maple", dry)
    harbour.login("Empty", 10)
    harbour.task()
    dispatch(ctx)
    return harbour


async def test_the_mode_is_shown_and_switched(api: AsyncClient) -> None:
    assert (await api.get("/balancer")).json() == {
        "mode": "advise",
        "is_dry": False,
        "returns_at": None,
        "decisions": [],
    }
    switched = await api.put("/balancer", json={"mode": "auto_new"})
    assert switched.json()["mode"] == "auto_new"
    refused = await api.put("/balancer", json={"mode": "always"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid")


async def test_a_decision_comes_with_its_numbers(api: AsyncClient, harbour: Harbour) -> None:
    shown = (await api.get("/balancer")).json()
    assert not shown["is_dry"]
    assert shown["returns_at"] is not None
    (row,) = shown["decisions"]
    assert (row["state"], row["agent"]) == ("advised", "maple")
    assert (row["from_account"], row["to_account"]) == ("Dry", "Empty")
    weighed = {one["account"]: one for one in row["weighed"]}
    assert weighed["Empty"]["refusal"] == ""
    assert weighed["Empty"]["pressure_per_hour"] > 0
    del harbour


@pytest.mark.parametrize(("verb", "state"), [("apply", "applied"), ("dismiss", "dismissed")])
async def test_the_humans_word(api: AsyncClient, harbour: Harbour, verb: str, state: str) -> None:
    number = harbour.decisions()[0].id
    done = await api.post(f"/balancer/decisions/{number}/{verb}")
    assert done.json()["state"] == state
    again = await api.post(f"/balancer/decisions/{number}/{verb}")
    assert again.status_code == 409
    undone = await api.post(f"/balancer/decisions/{number}/undo")
    assert undone.status_code == (200 if verb == "apply" else 409)
    assert (await api.post(f"/balancer/decisions/99/{verb}")).status_code == 404
