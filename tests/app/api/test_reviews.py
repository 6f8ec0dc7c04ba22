"""Merge requests over JSON: what is shown, and that a verdict is for one commit only."""

from httpx import AsyncClient

from app.git.diffs import FileDiff
from app.git.gate import Commit
from app.git.patches import Hunk, Line
from app.models.base import utc_now
from app.services.context import Context
from app.services.diffs import StoredDiff, request_path, store
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


async def test_approving_twice_is_one_approval(api: AsyncClient, house: House) -> None:
    verdict = {"head_sha": HEAD}
    first = await api.post(f"/reviews/{house.request}/approve", json=verdict)
    assert first.json()["state"] == "approved"
    second = await api.post(f"/reviews/{house.request}/approve", json=verdict)
    assert second.status_code == 409
    ledger = (await api.get("/decisions")).json()
    assert [entry["verb"] for entry in ledger] == ["approve"]
    assert ledger[0]["sha"] == HEAD


async def test_a_comment_is_kept_until_it_is_sent(api: AsyncClient, house: House) -> None:
    said = {"head_sha": HEAD, "path": "shop/prices.py", "line": 3, "body": "Why?"}
    made = await api.post(f"/reviews/{house.request}/comments", json=said)
    assert (made.status_code, made.json()["is_sent"]) == (201, False)
    whole = (await api.get(f"/reviews/{house.request}")).json()
    assert [comment["body"] for comment in whole["comments"]] == ["Why?"]


async def test_only_a_merged_one_can_be_undone(api: AsyncClient, house: House) -> None:
    refused = await api.post(f"/reviews/{house.request}/undo")
    assert refused.status_code == 409
    assert (await api.get("/reviews/999")).status_code == 404
