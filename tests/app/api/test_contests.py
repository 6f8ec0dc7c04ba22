"""Contests and the record over the API."""

from httpx import AsyncClient

from app.services.context import Context
from tests.app import factories as make
from tests.app.web import judged


async def test_a_contest_is_started_shown_and_picked_from(api: AsyncClient, ctx: Context) -> None:
    repo, login = make.repository(ctx), make.account(ctx)
    for name in ("maple", "otter"):
        make.agent(ctx, name, login)
    asked = {"title": "Race", "agents": ["maple", "otter"], "label": "parser", "care": "glance"}
    made = await api.post("/contests", json=asked)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    assert [each["agent"] for each in made.json()["contenders"]] == ["maple", "otter"]
    assert {each["state"] for each in made.json()["contenders"]} == {"queued"}
    tasks = (await api.get("/tasks")).json()
    assert {(task["contest_id"], task["label"], task["care"]) for task in tasks} == {
        (number, "parser", "glance")
    }
    assert [each["id"] for each in (await api.get("/contests")).json()] == [number]

    over = judged.contest(ctx, repo, "Second")
    first, second = (
        judged.contender(ctx, over, repo, make.agent(ctx, name, login), "glance")
        for name in ("elm", "oak")
    )
    assert first is not None
    assert second is not None
    shown = (await api.get(f"/contests/{over.id}")).json()
    assert [each["head_sha"] for each in shown["contenders"]] == [first.head_sha, second.head_sha]
    chosen = {"merge_request_id": first.id, "head_sha": first.head_sha}
    picked = await api.post(f"/contests/{over.id}/pick", json=chosen)
    assert (picked.json()["state"], picked.json()["winner_id"]) == ("decided", first.id)
    assert [each["state"] for each in picked.json()["contenders"]] == ["approved", "archived"]
    again = await api.post(f"/contests/{over.id}/undo")
    assert [each["state"] for each in again.json()["contenders"]] == ["open", "open"]
    assert (await api.post(f"/contests/{number}/cancel")).json()["state"] == "cancelled"


async def test_what_is_wrong_is_said(api: AsyncClient, ctx: Context) -> None:
    make.repository(ctx)
    missing = await api.get("/contests/7")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (await api.post("/contests", json={"title": "Race"})).status_code == 422
    assert (await api.post("/tasks", json={"title": "A", "care": "deep"})).status_code == 422
    long = await api.post("/tasks", json={"title": "A", "label": "x" * 41})
    assert "longer than 40" in long.json()["error"]["message"]


async def test_the_record_is_told_by_kind_and_the_preference_switched(
    api: AsyncClient, ctx: Context
) -> None:
    repo, agent = make.repository(ctx), make.agent(ctx)
    for outcome in ("at_once", "at_once", "rejected", "not_picked"):
        judged.judge(ctx, repo, agent, "m-1", outcome, label="parser")
    record = (await api.get("/record")).json()
    assert (record["by"], record["prefers"]) == ("label", False)
    (row,) = record["rows"]
    assert (row["good"], row["judged"], row["not_picked"]) == (2, 3, 1)
    assert round(row["low"], 2) == 0.21
    assert (await api.put("/record/preference", json={"on": True})).json() == {"on": True}
    by_repository = (await api.get("/record", params={"by": "repository"})).json()
    assert by_repository["prefers"] is True
    assert [each["kind"] for each in by_repository["rows"]] == [repo.slug]
    assert (await api.get("/record", params={"by": "mood"})).status_code == 422
