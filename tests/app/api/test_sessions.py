"""Sessions over JSON: log pages both ways, waiting for a record, messages, permissions."""

import asyncio

from fastapi import FastAPI
from httpx import AsyncClient

from agents.events import Notice
from app.services.context import Context
from tests.app.house import EVENTS, House, write_journal


async def test_the_log_reads_from_its_end_and_both_ways(api: AsyncClient, house: House) -> None:
    async def seqs(**query: int) -> list[int]:
        page = (await api.get(f"/sessions/{house.session}/log", params=query)).json()
        return [record["seq"] for record in page["records"]]

    last = len(EVENTS)
    assert await seqs(count=2) == [last - 1, last]
    assert await seqs(before=last - 1, count=2) == [last - 3, last - 2]
    assert await seqs(after=last - 2) == [last - 1, last]
    assert await seqs(after=last) == []


async def test_a_record_keeps_the_journals_shape(api: AsyncClient, house: House) -> None:
    page = (await api.get(f"/sessions/{house.session}/log", params={"after": 0})).json()
    call = page["records"][3]["event"]
    assert (call["kind"], call["title"]) == ("tool_call", "pytest -q")


async def test_waiting_returns_as_soon_as_something_is_said(
    api: AsyncClient, application: FastAPI, ctx: Context, house: House
) -> None:
    query = {"after": len(EVENTS), "wait_seconds": 20}
    waiting = asyncio.create_task(api.get(f"/sessions/{house.session}/log", params=query))
    bus = application.state.bus
    while not bus._listeners.get(f"session:{house.session}"):  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)
    write_journal(ctx, house.session, [Notice("late")])
    bus.publish(f"session:{house.session}")
    async with asyncio.timeout(10):
        page = (await waiting).json()
    assert [record["event"]["text"] for record in page["records"]] == ["late"]


async def test_a_message_is_stored_once(api: AsyncClient, house: House) -> None:
    said = {"text": "Faster, please.", "message_id": "m-7"}
    for _ in range(2):
        reply = await api.post(f"/sessions/{house.session}/messages", json=said)
        assert reply.json()["state"] == "queued"
    assert (await api.post(f"/sessions/{house.session}/messages", json={"text": " "})).is_error


async def test_permissions_are_listed_and_need_a_live_runner(
    api: AsyncClient, house: House
) -> None:
    listed = (await api.get("/permissions")).json()
    assert [ask["title"] for ask in listed] == ["rm -rf x"]
    assert (await api.get(f"/sessions/{house.session}/permissions")).json() == listed
    answer = await api.post(f"/permissions/{house.permission}/answer", json={"decision": "allow"})
    assert answer.status_code == 503
    assert answer.json()["error"]["retryable"] is True
    assert (await api.get("/permissions")).json() == listed  # still open, nothing is lost
    wrong = await api.post(f"/permissions/{house.permission}/answer", json={"decision": "maybe"})
    assert wrong.status_code == 422


async def test_a_stopped_session_can_not_be_interrupted(api: AsyncClient, house: House) -> None:
    refused = await api.post(f"/sessions/{house.session}/interrupt")
    assert refused.status_code == 409


async def test_sessions_are_found_by_agent_and_task(api: AsyncClient, house: House) -> None:
    for query in ({"agent": "ada"}, {"task_id": house.task}, {}):
        found = (await api.get("/sessions", params=query)).json()
        assert [session["id"] for session in found] == [house.session]
    assert (await api.get("/sessions", params={"agent": "nobody"})).status_code == 404
    assert (await api.get(f"/sessions/{house.session}/diff")).status_code == 404
    assert (await api.get("/sessions/none")).status_code == 404
