"""What authors do to a branch while it is reviewed: nothing that was offered is ever lost."""

import json

import pytest

from app.git.gate import request_ref
from app.models import Batch, MergeRequest, Round
from app.services import reviews, rounds, seen, sessions, unions, verdicts
from app.store import merge_requests
from tests.app.supervisor.conftest import Deck

WRITE = "printf 'hello there\\n' > greet.txt && git commit -qam 'Greet better'"


def say(deck: Deck, task_id: int, **script: str) -> None:
    sessions.say(deck.ctx, session_id=deck.session(task_id).id, text=json.dumps(script))


def rounds_of(deck: Deck, request: MergeRequest) -> list[Round]:
    with deck.ctx.db.read() as db:
        return rounds.of(db, request.id or 0)


async def offered(deck: Deck, run: str = WRITE) -> int:
    task_id = deck.add_task(run=run)
    await deck.until_task(task_id, "review")
    return task_id


@pytest.mark.slow
async def test_a_branch_force_moved_while_reviewed_is_a_new_round(deck: Deck) -> None:
    task_id = await offered(deck)
    before = deck.request(task_id)
    seen.note(deck.ctx, merge_request_id=before.id or 0, head_sha=before.head_sha)
    say(deck, task_id, run="git commit -q --amend -m 'Greet, reworded'")
    await deck.until(lambda: len(rounds_of(deck, before)) == 2)
    await deck.until_task(task_id, "review")
    request = deck.request(task_id)
    assert [r.is_rewritten for r in rounds_of(deck, request)] == [False, True]
    gate = str(deck.ctx.home.repository("ship") / "gate.git")
    ref = request_ref(request.id or 0, 1)
    assert deck.git("-C", gate, "rev-parse", ref) == before.head_sha
    # the same content under other words was seen already
    reviews.approve(deck.ctx, merge_request_id=request.id or 0, head_sha=request.head_sha)
    await deck.until_task(task_id, "done")


async def test_a_branch_deleted_while_reviewed_still_lands(deck: Deck) -> None:
    task_id = await offered(deck)
    branch = deck.request(task_id).branch
    ref = f"$(git rev-parse --git-common-dir)/refs/heads/{branch}"
    say(deck, task_id, run=f"git checkout -q --detach; rm {ref}")
    await deck.until_task(task_id, "failed")
    assert "no longer in the repository" in deck.task(task_id).state_reason
    assert (deck.request(task_id).state, deck.request(task_id).round) == ("open", 1)
    deck.approve(task_id)
    await deck.until_task(task_id, "done")
    assert deck.git("show", "main:greet.txt") == "hello there"


async def test_an_author_who_takes_all_commits_back_withdraws(deck: Deck) -> None:
    task_id = await offered(deck)
    say(deck, task_id, run="git reset -q --hard HEAD~1")
    await deck.until(lambda: deck.request(task_id).state == "withdrawn")
    request = deck.request(task_id)
    assert request.state_reason == "Its author took all of its commits back."
    with deck.ctx.db.read() as db:
        verbs = [d.verb for d in merge_requests.decisions(db, f"merge request {request.id}")]
    assert verbs == ["withdraw"]
    say(deck, task_id, run=WRITE)  # and offers something after all
    await deck.until(lambda: deck.request(task_id).id != request.id)
    assert deck.request(task_id).state == "open"


async def test_commits_by_another_hand_are_offered_and_told_apart(deck: Deck) -> None:
    run = "echo x > x.txt; git add -A; git commit -qm X --author='Eve <eve@example.org>'"
    task_id = await offered(deck, run)
    assert "foreign_commits" in [risk["kind"] for risk in deck.request(task_id).risks]


async def test_a_rejected_one_taken_back_lands_from_its_kept_commits(deck: Deck) -> None:
    task_id = await offered(deck)
    request = deck.request(task_id)
    verdict = {"merge_request_id": request.id or 0, "head_sha": request.head_sha}
    reviews.reject(deck.ctx, **verdict)  # type: ignore[arg-type]
    await deck.until(lambda: deck.state(task_id) == "ended")
    verdicts.undo_verdict(deck.ctx, merge_request_id=request.id or 0)
    assert deck.task(task_id).state == "review"
    deck.approve(task_id)
    await deck.until_task(task_id, "done")
    assert deck.git("show", "main:greet.txt") == "hello there"


async def test_a_union_is_built_checked_and_landed_by_itself(deck: Deck) -> None:
    runs = [f"echo {n} > {n}.txt; git add -A; git commit -qm {n}" for n in "ab"]
    ids = [deck.request(await offered(deck, run)).id or 0 for run in runs]
    union_id = unions.make(deck.ctx, ids).id or 0

    def union() -> Batch:
        with deck.ctx.db.read() as db:
            return db.get_one(Batch, union_id)

    await deck.until(lambda: union().state == "ready")
    unions.note_seen(deck.ctx, batch_id=union_id, ticked=True)
    unions.approve(deck.ctx, batch_id=union_id, head_sha=union().head_sha)
    await deck.until(lambda: deck.git("ls-tree", "--name-only", "main").count(".txt") == 3)
    await deck.until(lambda: union().state == "stale")
