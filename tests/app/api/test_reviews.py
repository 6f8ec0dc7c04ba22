"""Merge requests over JSON: what is shown, and that a verdict is for one commit only."""

from httpx import AsyncClient

from app.git.diffs import FileDiff
from app.git.gate import Commit
from app.git.patches import Hunk, Line
from app.models import MergeRequest
from app.models.base import utc_now
from app.services.context import Context
from app.services.diffs import StoredDiff, request_path, store
from tests.app import factories
from tests.app.house import HEAD, House


async def test_the_list_and_the_whole(api: AsyncClient, house: House) -> None:
    row = (await api.get("/reviews")).json()[0]
    assert (row["agent"], row["check"], row["head_sha"]) == ("ada", "passed", HEAD)
    whole = (await api.get(f"/reviews/{house.request}")).json()
    assert whole["summary"] == "One test more."
    assert whole["latest_check"]["command"] == "make test"
    assert whole["landing"] is None


async def test_the_diff_is_the_stored_one(api: AsyncClient, ctx: Context, house: House) -> None:
    assert (await api.get(f"/reviews/{house.request}/diff")).status_code == 404
    lines = (Line("-", 1, None, "old"), Line("+", None, 1, "new"))
    file = FileDiff(
        path="shop/prices.py",
        old_path="shop/prices.py",
        status="modified",
        additions=1,
        deletions=1,
        old_mode="100644",
        new_mode="100644",
        hunks=(Hunk("def price():", 1, 1, lines),),
    )
    commit = Commit(HEAD, "ada", "ada@x", utc_now(), "Add a test", "")
    stored = StoredDiff("b" * 40, HEAD, utc_now(), [commit], [file])
    store(request_path(ctx, house.request, HEAD), stored)
    diff = (await api.get(f"/reviews/{house.request}/diff")).json()
    assert diff["commits"][0]["subject"] == "Add a test"
    assert [line["text"] for line in diff["files"][0]["hunks"][0]["lines"]] == ["old", "new"]


async def test_a_verdict_on_another_commit_is_refused(api: AsyncClient, house: House) -> None:
    stale = {"head_sha": "d" * 40}
    for verb in ("approve", "reject", "request-changes"):
        refused = await api.post(f"/reviews/{house.request}/{verb}", json=stale)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    without = await api.post(f"/reviews/{house.request}/approve", json={})
    assert without.status_code == 422


def keep_diff(ctx: Context, house: House, *paths: str) -> None:
    """What a preflight leaves: files of these names, made of nothing."""
    files = [factories.file_diff(path, [], ["x"], new_blob=f"100644:{path}") for path in paths]
    store(request_path(ctx, house.request, HEAD), factories.stored_diff(*files, head_sha=HEAD))


async def test_approving_twice_is_one_approval(
    api: AsyncClient, ctx: Context, house: House
) -> None:
    keep_diff(ctx, house, "a.py")
    verdict = {"head_sha": HEAD}
    unseen = await api.post(f"/reviews/{house.request}/approve", json=verdict)
    assert (unseen.status_code, unseen.json()["error"]["code"]) == (409, "not_seen")
    assert (await api.post(f"/reviews/{house.request}/seen", json=verdict)).json()["missing"] == []
    first = await api.post(f"/reviews/{house.request}/approve", json=verdict)
    assert first.json()["state"] == "approved"
    second = await api.post(f"/reviews/{house.request}/approve", json=verdict)
    assert second.status_code == 409
    ledger = (await api.get("/decisions")).json()
    assert [entry["verb"] for entry in ledger] == ["approve"]
    assert ledger[0]["sha"] == HEAD
    assert ledger[0]["evidence"]["shown"] == 1


async def test_what_was_seen_is_told_and_ticked_and_unticked(
    api: AsyncClient, ctx: Context, house: House
) -> None:
    keep_diff(ctx, house, "a.py", "b.py")
    with ctx.db.write() as db:
        db.get_one(MergeRequest, house.request).care = "study"
    place = f"/reviews/{house.request}"
    assert (await api.get(f"{place}/seen")).json()["missing"] == ["a.py", "b.py"]
    ticks = {"head_sha": HEAD, "paths": ["a.py"], "ticked": True}
    told = (await api.post(f"{place}/seen", json=ticks)).json()
    assert (told["care"], told["missing"]) == ("study", ["b.py"])
    assert told["files"][0] == {"path": "a.py", "state": "ticked"}
    untick = {"head_sha": HEAD, "paths": ["a.py"]}
    told = (await api.post(f"{place}/untick", json=untick)).json()
    assert told["files"][0]["state"] == "shown"
    unknown = {"head_sha": HEAD, "paths": ["c.py"]}
    assert (await api.post(f"{place}/seen", json=unknown)).status_code == 404
    assert (await api.get(f"{place}/since")).status_code == 404


async def test_an_approval_takes_conditions_and_is_taken_back(
    api: AsyncClient, ctx: Context, house: House
) -> None:
    with ctx.db.write() as db:
        request = db.get_one(MergeRequest, house.request)
        request.care = "glance"
        db.add(other := MergeRequest(**request.model_dump(exclude={"id"})))
    keep_diff(ctx, house, "a.py")
    given = {"head_sha": HEAD, "after": [other.id], "when_checks_pass": True}
    row = (await api.post(f"/reviews/{house.request}/approve", json=given)).json()
    assert (row["after"], row["waits_for_check"]) == ([other.id], True)
    ranked = (await api.get("/reviews")).json()
    assert [row["id"] for row in ranked] == [other.id, house.request]
    assert ranked[0]["rank"] == sum(why["points"] for why in ranked[0]["rank_reasons"])
    assert ranked[0]["waiters"] == [f"#{house.request}"]
    row = (await api.post(f"/reviews/{house.request}/undo")).json()
    assert (row["state"], row["after"], row["rounds"]) == ("open", [], [])


async def test_a_comment_is_kept_until_it_is_sent(api: AsyncClient, house: House) -> None:
    said = {"head_sha": HEAD, "path": "shop/prices.py", "line": 3, "body": "Why?"}
    made = await api.post(f"/reviews/{house.request}/comments", json=said)
    assert (made.status_code, made.json()["is_sent"]) == (201, False)
    whole = (await api.get(f"/reviews/{house.request}")).json()
    assert [comment["body"] for comment in whole["comments"]] == ["Why?"]


async def test_what_is_not_decided_cannot_be_undone(api: AsyncClient, house: House) -> None:
    refused = await api.post(f"/reviews/{house.request}/undo")
    assert refused.status_code == 409
    assert (await api.get("/reviews/999")).status_code == 404
