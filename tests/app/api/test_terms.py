"""A task's terms and an agent's quota over the API."""

import pytest
from httpx import AsyncClient

from tests.app.house import House


async def test_a_task_is_added_and_changed_with_its_terms(api: AsyncClient, house: House) -> None:
    asked = {"title": "Second", "priority": 3, "after": [house.task], "account": "mine"}
    made = (await api.post("/tasks", json={**asked, "deadline_at": "2099-01-01T12:00Z"})).json()
    assert (made["priority"], made["after"], made["account"]) == (3, [house.task], "mine")
    path = f"/tasks/{made['id']}"
    changed = await api.patch(path, json={"is_deferrable": True, "account": None})
    assert changed.json()["is_deferrable"] is True
    assert (changed.json()["account"], changed.json()["priority"]) == (None, 3)
    assert changed.json()["deadline_at"] == "2099-01-01T12:00:00Z"
    refused = await api.patch(path, json={"after": [made["id"]]})
    assert refused.status_code == 422
    assert "wait for itself" in refused.json()["error"]["message"]


@pytest.mark.usefixtures("house")
async def test_an_agents_quota_is_set_and_lifted(api: AsyncClient) -> None:
    path = "/agents/ada"
    quota = {"quota_unit": "usd", "quota_per_day": 12.5, "is_movable": False}
    changed = (await api.patch(path, json=quota)).json()
    assert {name: changed[name] for name in quota} == quota
    for wrong in (
        {"quota_per_day": 5},
        {"quota_unit": "hours", "quota_per_day": 5},
        {"quota_unit": "percent", "quota_per_day": 101},
        {"quota_unit": "usd"},
    ):
        refused = await api.patch(path, json=wrong)
        assert refused.status_code == 422, wrong
    assert (await api.patch(path, json={"quota_unit": ""})).json()["quota_unit"] == ""
