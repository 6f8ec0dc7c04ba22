"""The main job with real repositories, runners and sandboxes; only the model is a script."""

import asyncio
import json

import pytest

from app.errors import Conflict
from app.models import Account, Task
from app.models.base import utc_now
from app.services import radar, reviews, tasks
from app.services.sessions import answer, say
from tests.app.supervisor.conftest import Deck

WRITE = "printf 'hello there\\n' > greet.txt && git commit -qam 'Greet better'"


async def test_a_task_becomes_a_merge_request_and_lands(deck: Deck) -> None:
    task_id = deck.add_task(run=WRITE, say="Greets better now.")

    await deck.until_task(task_id, "review")
    request = deck.request(task_id)
    assert request.summary == "Greets better now."
    assert (request.additions, request.deletions, request.files) == (1, 1, 1)

    deck.approve(task_id)
    await deck.until_task(task_id, "done")

    assert deck.git("show", "main:greet.txt") == "hello there"
    assert (deck.repository / "greet.txt").read_text() == "hello there\n"
    assert deck.request(task_id).state == "merged"
    await deck.until(lambda: deck.state(task_id) == "ended")


async def test_uncommitted_work_is_committed_for_the_agent(deck: Deck) -> None:
    task_id = deck.add_task(run="echo new > left.txt", say="Done.")
    await deck.until_task(task_id, "review")
    deck.approve(task_id)
    await deck.until_task(task_id, "done")
    assert deck.git("show", "main:left.txt") == "new"


async def test_a_turn_without_a_change_asks_the_human(deck: Deck) -> None:
    task_id = deck.add_task(say="There is nothing to do.")
    task = await deck.until_task(task_id, "failed")
    assert "without changing anything" in task.state_reason
    say(deck.ctx, session_id=deck.session(task_id).id, text=json.dumps({"run": WRITE}))
    await deck.until_task(task_id, "review")


async def test_a_broken_tree_is_caught_by_the_check(deck: Deck) -> None:
    task_id = deck.add_task(run="echo BROKEN >> greet.txt; git commit -qam Break")
    await deck.until_task(task_id, "review")
    request = deck.request(task_id)
    await deck.until(lambda: deck.check(request.id or 0) == "failed")
    with pytest.raises(Conflict, match="check failed"):
        deck.approve(task_id)
    assert deck.git("show", "main:greet.txt") == "hello"


async def test_two_that_conflict_are_told_and_the_second_goes_back(deck: Deck) -> None:
    first = deck.add_task(run="echo one > greet.txt; git commit -qam One")
    await deck.until_task(first, "review")
    second = deck.add_task(run="echo two > greet.txt; git commit -qam Two")
    await deck.until_task(second, "review")
    expected = [{"merge_request_id": deck.request(first).id, "paths": ["greet.txt"]}]
    await deck.until(lambda: deck.overlaps(second) == expected)
    assert deck.overlaps(first)[0]["merge_request_id"] == deck.request(second).id

    deck.approve(first)
    await deck.until_task(first, "done")
    await deck.until(lambda: bool(deck.request(second).conflicts))
    with pytest.raises(Conflict, match="conflict"):
        deck.approve(second)


@pytest.mark.slow
async def test_two_that_collide_are_on_the_radar_while_they_work(deck: Deck) -> None:
    """Nothing is committed or offered yet; one is told at the human's word and hears it."""
    one = deck.add_task(run="echo one > greet.txt", hang=True)
    two = deck.add_task(run="echo two > greet.txt", hang=True)
    await deck.until(lambda: bool(deck.warnings(one) and deck.warnings(two)))
    (warned,) = deck.warnings(one)
    assert (warned.other_key, warned.kind) == (deck.session(two).id, "text")
    assert warned.paths == ["greet.txt"]
    message = radar.tell(deck.ctx, deck.session(one).id)
    assert f"conflicts with {warned.other_agent} in greet.txt" in message.text
    assert deck.git("status", "--porcelain") == ""


async def test_an_approval_in_flight_meets_a_moved_base(deck: Deck) -> None:
    """Approved while clean, conflicting when its turn comes: back to the author, not landed."""
    task_id = deck.add_task(run="echo one > greet.txt; git commit -qam One")
    await deck.until_task(task_id, "review")
    (deck.repository / "greet.txt").write_text("the human's own\n")
    deck.git("commit", "-qam", "The human was quicker")
    deck.approve(task_id)
    await deck.until(lambda: deck.request(task_id).state == "conflicted")
    await deck.until(lambda: "Your branch conflicts with main" in deck.journal(task_id))
    assert "<<<<<<<" in deck.journal(task_id)
    assert deck.git("show", "main:greet.txt") == "the human's own"


async def test_changes_requested_make_a_second_round(deck: Deck) -> None:
    task_id = deck.add_task(run=WRITE)
    await deck.until_task(task_id, "review")
    request = deck.request(task_id)
    script = json.dumps({"run": "echo 'hello, you' > greet.txt; git commit -qam 'Say you'"})
    reviews.comment(
        deck.ctx, merge_request_id=request.id or 0, head_sha=request.head_sha,
        path="greet.txt", line=1, body="Say who is meant.",
    )  # fmt: skip
    reviews.request_changes(
        deck.ctx, merge_request_id=request.id or 0, head_sha=request.head_sha, body="Once more."
    )
    await deck.until(lambda: "greet.txt:1: Say who is meant." in deck.journal(task_id))
    say(deck.ctx, session_id=deck.session(task_id).id, text=script)
    await deck.until(lambda: deck.request(task_id).round == 2)
    with pytest.raises(Conflict, match="new commits since you looked"):
        reviews.approve(deck.ctx, merge_request_id=request.id or 0, head_sha=request.head_sha)
    await deck.until_task(task_id, "review")
    deck.approve(task_id)
    await deck.until_task(task_id, "done")
    assert deck.git("show", "main:greet.txt") == "hello, you"


async def test_a_rejected_branch_is_kept_and_its_agent_freed(deck: Deck) -> None:
    task_id = deck.add_task(run=WRITE, agent="maple")
    await deck.until_task(task_id, "review")
    request = deck.request(task_id)
    reviews.reject(
        deck.ctx, merge_request_id=request.id or 0, head_sha=request.head_sha, reason="No."
    )
    assert deck.task(task_id).state == "cancelled"
    await deck.until(lambda: deck.state(task_id) == "ended")
    gate = deck.ctx.home.repository("ship") / "gate.git"
    kept = deck.git("-C", str(gate), "rev-parse", f"refs/quarterdeck/requests/{request.id}/1")
    assert kept == request.head_sha
    assert deck.request(task_id).snapshot_ref == f"refs/quarterdeck/requests/{request.id}/1"
    after = deck.add_task(run="echo x > x.txt; git add -A; git commit -qm X", agent="maple")
    await deck.until_task(after, "review")


async def test_undo_takes_back_what_landed(deck: Deck) -> None:
    task_id = deck.add_task(run=WRITE)
    await deck.until_task(task_id, "review")
    deck.approve(task_id)
    await deck.until_task(task_id, "done")
    revert = reviews.undo(deck.ctx, merge_request_id=deck.request(task_id).id or 0)
    deck.approve_request(revert)
    await deck.until(lambda: deck.git("show", "main:greet.txt") == "hello")


async def test_a_permission_waits_for_the_human_once(deck: Deck) -> None:
    task_id = deck.add_task(ask="rm -rf build", run=WRITE)
    await deck.until(lambda: bool(deck.open_permissions()))
    assert deck.session(task_id).activity == "waiting_human"
    (permission,) = deck.open_permissions()
    await asyncio.to_thread(answer, deck.ctx, permission_id=permission.id or 0, decision="allow")
    with pytest.raises(Conflict, match="settled already"):
        answer(deck.ctx, permission_id=permission.id or 0, decision="deny")
    await deck.until_task(task_id, "review")
    assert not deck.open_permissions()


async def test_a_limit_parks_and_comes_back_once(deck: Deck) -> None:
    task_id = deck.add_task(fail="limit")
    task = await deck.until_task(task_id, "parked")
    assert "used up its window" in task.state_reason
    await deck.until(lambda: deck.state(task_id) == "stopped")
    with deck.ctx.db.write() as db:
        row = db.get_one(Task, task_id)
        row.parked_until = utc_now()
        db.add(row)
        account = db.get_one(Account, deck.session(task_id).account_id)
        account.limited_until = utc_now()
        db.add(account)
    deck.bus.publish("wake")
    await deck.until(lambda: deck.session(task_id).launches == 2)
    await deck.until(lambda: "Your work was interrupted" in deck.journal(task_id))


async def test_stop_keeps_the_work_and_start_goes_on(deck: Deck) -> None:
    task_id = deck.add_task(run="echo half > half.txt", hang=True)
    await deck.until(lambda: deck.state(task_id) == "running")
    await deck.until(lambda: "tool_result" in deck.journal(task_id))
    tasks.stop_task(deck.ctx, task_id=task_id)
    await deck.until(lambda: deck.state(task_id) == "stopped")
    assert deck.task(task_id).state == "draft"
    tasks.start_task(deck.ctx, task_id=task_id)
    await deck.until(lambda: deck.session(task_id).launches == 2)
    await deck.until_task(task_id, "review")
    assert deck.request(task_id).files == 1


async def test_an_agent_stands_in_one_task_at_a_time(deck: Deck) -> None:
    """While one task waits for its verdict the agent does another; then it goes back."""
    first = deck.add_task(agent="maple", run="echo a > a.txt; git add -A; git commit -qm A")
    await deck.until_task(first, "review")
    second = deck.add_task(
        agent="maple", run="echo b > b.txt; git add -A; git commit -qm B", hang=True
    )
    await deck.until(lambda: "tool_result" in deck.journal(second))
    assert deck.state(first) == "stopped"

    request = deck.request(first)
    reviews.request_changes(
        deck.ctx, merge_request_id=request.id or 0, head_sha=request.head_sha, body="More."
    )
    await deck.until_task(first, "queued")  # the agent is busy: it waits, and is not mixed in
    tasks.stop_task(deck.ctx, task_id=second)
    await deck.until(lambda: deck.session(first).launches == 2)
    assert deck.session(first).worktree == deck.session(second).worktree
    await deck.until(lambda: "More." in deck.journal(first))
    await deck.until_task(first, "review")
    assert deck.git("-C", deck.session(first).worktree, "branch", "--show-current") == (
        deck.session(first).branch
    )
    tasks.start_task(deck.ctx, task_id=second)
    await deck.until_task(second, "review")
    assert [deck.request(task_id).files for task_id in (first, second)] == [1, 1]
