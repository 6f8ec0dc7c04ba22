"""Repositories, accounts, agents, tasks, and the one shape of every refusal."""

import pytest
from httpx import AsyncClient

from tests.app.house import House


async def test_it_lists_what_the_house_holds(api: AsyncClient, house: House) -> None:
    assert (await api.get("/repositories")).json()[0]["slug"] == "shop"
    assert (await api.get("/accounts")).json()[0]["name"] == "mine"
    agent = (await api.get("/agents/ada")).json()
    assert (agent["account"], agent["session_id"], agent["task_id"]) == ("mine", "s-1", house.task)
    task = (await api.get("/tasks")).json()[0]
    assert (task["repository"], task["agent"], task["state"]) == ("shop", "ada", "review")


async def test_a_task_goes_through_its_verbs(api: AsyncClient, house: House) -> None:
    draft = {"title": "Second", "prompt": "Do it.", "agent": "ada", "draft": True}
    made = await api.post("/tasks", json=draft)
    assert made.status_code == 201
    number = made.json()["id"]
    assert made.json()["wanted_agent"] == "ada"
    assert (await api.post(f"/tasks/{number}/start")).json()["state"] == "queued"
    moved = await api.post(f"/tasks/{number}/move", json={"before_id": house.task})
    assert moved.is_success
    assert [task["id"] for task in (await api.get("/tasks")).json()] == [number, house.task]
    assert (await api.post(f"/tasks/{number}/stop")).json()["state"] == "draft"
    assert (await api.post(f"/tasks/{number}/cancel")).json()["state"] == "cancelled"
    closed = await api.get("/tasks", params={"closed": True})
    assert [task["id"] for task in closed.json()] == [number]


@pytest.mark.usefixtures("house")
async def test_an_agent_is_added_and_changed(api: AsyncClient) -> None:
    made = await api.post("/agents", json={"name": "bob", "driver": "scripted"})
    assert made.json()["account"] == "mine"
    changed = await api.patch("/agents/bob", json={"is_enabled": False, "permissions": "auto"})
    assert (changed.json()["is_enabled"], changed.json()["state"]) == (False, "off")
    assert changed.json()["permissions"] == "auto"


async def test_a_path_that_is_no_repository_is_refused(api: AsyncClient, tmp_path: object) -> None:
    refused = await api.post("/repositories", json={"path": str(tmp_path)})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "repository_refused"


async def test_every_refusal_has_one_shape(api: AsyncClient, house: House) -> None:
    cases = [
        (await api.get("/tasks/999"), 404, "not_found"),
        (await api.get("/tasks/abc"), 422, "invalid"),
        (await api.post(f"/tasks/{house.task}/start"), 409, "conflict"),
        (await api.post("/tasks", json={"title": "x", "colour": "red"}), 422, "invalid"),
        (await api.post("/tasks", json={"title": "", "prompt": " "}), 422, "invalid"),
        (await api.post("/tasks", content=b"{"), 422, "invalid"),
        (await api.get("/agents/nobody"), 404, "not_found"),
    ]
    for response, status, code in cases:
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (status, code)
        assert error["message"].endswith((".", "them.")) or error["message"]
        assert error["retryable"] is False


@pytest.mark.usefixtures("house")
async def test_a_prompt_of_one_megabyte_is_refused_with_a_way_out(api: AsyncClient) -> None:
    refused = await api.post("/tasks", json={"title": "big", "prompt": "x" * 1_000_000})
    assert refused.status_code == 422
    assert "put long material into a file" in refused.json()["error"]["message"]
