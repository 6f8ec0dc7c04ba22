"""Moves over JSON: the preview, the move, what is refused."""

import pytest
from httpx import AsyncClient

from app.services import accounts
from app.services.context import Context
from tests.app.house import House


@pytest.fixture(autouse=True)
def _second(ctx: Context, house: House) -> None:  # noqa: ARG001 - furnished first
    accounts.add_account(ctx, name="spare", driver="scripted", auth="none")


async def test_a_preview_says_it_in_a_sentence(api: AsyncClient) -> None:
    told = (await api.get("/agents/ada/move-preview", params={"account": "spare"})).json()
    assert (told["from_account"], told["to_account"], told["way"]) == ("mine", "spare", "idle")
    assert (told["costs_usd"], told["refusal"]) == (0.0, "")
    assert told["says"].startswith("ada goes to spare at once")


async def test_an_agent_is_moved(api: AsyncClient) -> None:
    moved = (await api.post("/agents/ada/move", json={"account": "spare"})).json()
    assert (moved["is_done"], moved["says"]) == (True, "ada is on spare.")
    assert (await api.get("/agents/ada")).json()["account"] == "spare"
    again = await api.post("/agents/ada/move", json={"account": "spare"})
    assert again.status_code == 409
    assert again.json()["error"]["message"] == "ada is on spare already."
    assert (await api.request("DELETE", "/agents/ada/move")).status_code == 409


async def test_a_task_that_nobody_began_waits_for_the_account(api: AsyncClient) -> None:
    task = (await api.post("/tasks", json={"prompt": "Do more.", "draft": True})).json()
    told = (await api.post(f"/tasks/{task['id']}/account", json={"account": "spare"})).json()
    assert told["move"] is None
    assert (await api.get(f"/tasks/{task['id']}")).json()["account"] == "spare"


async def test_begun_work_moves_with_its_agent(api: AsyncClient, house: House) -> None:
    told = (await api.post(f"/tasks/{house.task}/account", json={"account": "spare"})).json()
    assert told["move"]["agent"] == "ada"
    assert (await api.get("/agents/ada")).json()["account"] == "spare"


async def test_strangers_are_named(api: AsyncClient) -> None:
    for path, account in (("eve", "spare"), ("ada", "nowhere")):
        told = await api.get(f"/agents/{path}/move-preview", params={"account": account})
        assert told.status_code == 404
