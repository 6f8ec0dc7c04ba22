"""Best of N with real agents, worktrees and branches; only the model is a script."""

import json

import pytest
from sqlmodel import select

from app.errors import Conflict, NotSeen
from app.models import Contest, MergeRequest, Outcome, Task
from app.services import contests, record, seen, tasks
from app.services.sessions import say
from app.services.terms import Terms
from app.store import contests as store
from tests.app.supervisor.conftest import Deck

WORK = "pwd >> greet.txt; git commit -qam 'Greet'"


def start(deck: Deck, terms: Terms | None = None, **script: object) -> Contest:
    return contests.start(
        deck.ctx,
        prompt=json.dumps(script),
        agents=["maple", "otter"],
        terms=terms or Terms(label="greeting", care="glance"),
    )


def contenders(deck: Deck, contest: Contest) -> list[Task]:
    with deck.ctx.db.read() as db:
        return store.contenders(db, [contest.id or 0])[contest.id or 0]


def look_at(deck: Deck, request: MergeRequest) -> None:
    seen.note(deck.ctx, merge_request_id=request.id or 0, head_sha=request.head_sha, paths=None)


def pick(deck: Deck, contest: Contest, request: MergeRequest) -> Contest:
    head, request_id = request.head_sha, request.id or 0
    return contests.pick(
        deck.ctx, contest_id=contest.id or 0, merge_request_id=request_id, head_sha=head
    )


def contest_now(deck: Deck, contest: Contest) -> Contest:
    with deck.ctx.db.read() as db:
        return db.get_one(Contest, contest.id)


def outcomes(deck: Deck) -> dict[int, str]:
    with deck.ctx.db.read() as db:
        return {row.merge_request_id: row.outcome for row in db.exec(select(Outcome))}


async def test_two_do_it_side_by_side_and_one_is_picked(deck: Deck) -> None:
    contest = start(deck, run=WORK, say="Greets.")
    one, other = contenders(deck, contest)
    await deck.until_task(one.id or 0, "review")
    await deck.until_task(other.id or 0, "review")
    won, lost = deck.request(one.id or 0), deck.request(other.id or 0)
    assert won.branch != lost.branch
    assert deck.session(one.id or 0).worktree != deck.session(other.id or 0).worktree
    await deck.until(lambda: deck.check(won.id or 0) == "passed")

    waiting = tasks.add_task(
        deck.ctx,
        repository=None,
        title="",
        prompt=json.dumps({"say": "later"}),
        draft=True,
        terms=Terms(after=(other.id or 0,)),
    )
    with pytest.raises(NotSeen, match="not shown yet"):
        pick(deck, contest, won)
    assert contest_now(deck, contest).state == "open"
    look_at(deck, won)
    pick(deck, contest, won)
    archived = deck.request(other.id or 0)
    assert (archived.state, deck.task(other.id or 0).state) == ("archived", "cancelled")
    assert "was picked" in deck.task(other.id or 0).state_reason
    assert deck.task(waiting.id or 0).after == [one.id]

    await deck.until_task(one.id or 0, "done")
    await deck.until(lambda: deck.state(other.id or 0) == "ended")
    await deck.until(lambda: len(outcomes(deck)) == 2)
    assert outcomes(deck) == {won.id: "at_once", lost.id: "not_picked"}
    gate = deck.ctx.home.path / "repositories" / "ship" / "gate.git"
    kept = deck.git("--git-dir", str(gate), "rev-parse", archived.snapshot_ref)
    assert kept == lost.head_sha
    assert contest_now(deck, contest).winner_id == won.id
    with deck.ctx.db.read() as db:
        table = record.table(db, "label")
    (row,) = table.rows.values()
    assert (row.kind, row.counts.good, row.counts.judged, row.counts.not_picked) == (
        "greeting", 1, 1, 1,
    )  # fmt: skip
    with pytest.raises(Conflict, match="decided already"):
        pick(deck, contest, lost)


async def test_one_that_fails_leaves_the_other_in_the_contest(deck: Deck) -> None:
    contest = start(deck, say="I did nothing.")
    one, other = contenders(deck, contest)
    await deck.until_task(one.id or 0, "failed")
    await deck.until_task(other.id or 0, "failed")
    say(deck.ctx, session_id=deck.session(other.id or 0).id, text=json.dumps({"run": WORK}))
    await deck.until_task(other.id or 0, "review")
    assert contest_now(deck, contest).state == "open"

    look_at(deck, deck.request(other.id or 0))
    deck.approve(other.id or 0)  # on the review's page, not on the contest's
    await deck.until_task(other.id or 0, "done")
    await deck.until(lambda: contest_now(deck, contest).state == "decided")
    assert contest_now(deck, contest).winner_id == deck.request(other.id or 0).id
    assert deck.task(one.id or 0).state == "cancelled"


async def test_one_that_never_offers_anything_ends_with_the_pick(deck: Deck) -> None:
    contest = start(deck, run=WORK, hang=True)
    one, other = contenders(deck, contest)
    for task in (one, other):
        await deck.until(lambda task=task: "tool_result" in deck.journal(task.id or 0))
    tasks.stop_task(deck.ctx, task_id=one.id or 0)
    await deck.until(lambda: deck.state(one.id or 0) == "stopped")
    tasks.start_task(deck.ctx, task_id=one.id or 0)  # the script hangs but once
    await deck.until_task(one.id or 0, "review")
    look_at(deck, deck.request(one.id or 0))
    pick(deck, contest, deck.request(one.id or 0))
    await deck.until_task(one.id or 0, "done")
    await deck.until(lambda: deck.state(other.id or 0) == "ended")
    assert deck.task(other.id or 0).state == "cancelled"
    await deck.until(lambda: outcomes(deck).keys() == {deck.request(one.id or 0).id})


async def test_a_pick_is_taken_back_before_it_lands(deck: Deck) -> None:
    contest = start(deck, run=WORK)
    one, other = contenders(deck, contest)
    for task in (one, other):
        await deck.until_task(task.id or 0, "review")
    second = deck.request(other.id or 0)
    won = deck.request(one.id or 0)
    await deck.until(lambda: deck.check(won.id or 0) == "passed")
    await deck.supervisor.stop()  # so that nothing lands meanwhile
    look_at(deck, won)
    pick(deck, contest, won)
    assert contests.reopen(deck.ctx, contest_id=contest.id or 0).state == "open"
    assert deck.request(one.id or 0).state == deck.request(other.id or 0).state == "open"
    assert deck.task(other.id or 0).state == "review"
    contests.settle(deck.ctx)
    look_at(deck, second)
    picked = pick(deck, contest, second)
    assert (picked.state, picked.winner_id) == ("decided", second.id)
    assert deck.request(one.id or 0).state == "archived"
    with pytest.raises(Conflict, match="decided already"):
        pick(deck, contest, won)
