"""Outcomes: written once, taken back with the verdict, turned by landed reverts; no token twice."""

from datetime import timedelta
from typing import Any

import pytest

from app.models import Decision, MergeRequest, Outcome, Round, Session, Task
from app.models.base import utc_now
from app.services import outcomes
from app.services.context import Context
from app.services.ledger import record
from tests.app import factories as make

OPUS = "claude-opus-4-5"


@pytest.fixture
def work(ctx: Context) -> Task:
    repo = make.repository(ctx)
    return make.task(ctx, repo, label="parser", agent_id=make.agent(ctx).id)


def author(ctx: Context, work: Task, **more: Any) -> Session:
    agent = make.agent(ctx, f"agent-{make.sha()[:8]}", model="opus")
    session = make.session(ctx, agent, work, model="opus", **more)
    session.model = OPUS
    make.usage(ctx, session, [1000, 500])
    return session


def ended(ctx: Context, work: Task, state: str = "merged", **more: Any) -> MergeRequest:
    session = author(ctx, work)
    given = {"decided_at": utc_now(), "languages": {"python": 9, "css": 4}, "areas": ["src"]}
    return make.merge_request(ctx, session, work, state=state, **given | more)


def row(ctx: Context, request: MergeRequest) -> Outcome | None:
    with ctx.db.read() as db:
        return db.get(Outcome, request.id)


def change(ctx: Context, request: MergeRequest, **values: Any) -> None:
    with ctx.db.write() as db:
        stored = db.get_one(MergeRequest, request.id)
        for name, value in values.items():
            setattr(stored, name, value)
        db.add(stored)


def test_an_ending_is_written_once_with_all_that_is_known(
    ctx: Context, work: Task, published: list[str]
) -> None:
    request = ended(ctx, work, additions=12)
    assert outcomes.settle(ctx) == 1
    found = row(ctx, request)
    assert found is not None
    assert (found.outcome, found.model, found.label) == ("at_once", OPUS, "parser")
    assert (found.language, found.area, found.additions) == ("python", "src", 12)
    assert found.output_tokens == 1500
    assert found.cost_usd == pytest.approx(1500 * 25e-6)
    assert outcomes.settle(ctx) == 0
    assert published.count("record") == 1


@pytest.mark.parametrize(
    ("state", "rounds", "outcome"),
    [("merged", 3, "after_changes"), ("rejected", 1, "rejected"), ("archived", 2, "not_picked")],
)
def test_every_ending_has_its_word(
    ctx: Context, work: Task, state: str, rounds: int, outcome: str
) -> None:
    request = ended(ctx, work, state, round=rounds)
    outcomes.settle(ctx)
    found = row(ctx, request)
    assert found is not None
    assert (found.outcome, found.rounds) == (outcome, rounds)


@pytest.mark.parametrize(("verb", "outcome"), [("send_back", "at_once"), ("", "after_changes")])
def test_a_round_after_a_conflict_is_not_held_against_it(
    ctx: Context, work: Task, verb: str, outcome: str
) -> None:
    request = make.merge_request(ctx, author(ctx, work), work, state="merged", round=2)
    number = request.id or 0
    make.save(ctx, Round(merge_request_id=number, number=1, head_sha=make.sha()))
    if verb:
        made = Decision(actor="system", verb=verb, subject=f"merge request {number}")
        make.save(ctx, made)
    make.save(ctx, Round(merge_request_id=number, number=2, head_sha=request.head_sha))
    change(ctx, request, decided_at=utc_now())
    outcomes.settle(ctx)
    found = row(ctx, request)
    assert found is not None
    assert found.outcome == outcome


def test_what_was_not_judged_has_none(ctx: Context, work: Task) -> None:
    ended(ctx, work, "withdrawn")
    make.merge_request(ctx, None, work, state="merged", decided_at=utc_now())
    assert outcomes.settle(ctx) == 0


def test_a_verdict_taken_back_takes_the_line_along(ctx: Context, work: Task) -> None:
    request = ended(ctx, work, "rejected")
    outcomes.settle(ctx)
    change(ctx, request, state="open", decided_at=None)
    outcomes.settle(ctx)
    assert row(ctx, request) is None
    change(ctx, request, state="merged", decided_at=utc_now())
    outcomes.settle(ctx)
    found = row(ctx, request)
    assert found is not None
    assert found.outcome == "at_once"


def test_another_verdict_within_one_look_is_written_anew(ctx: Context, work: Task) -> None:
    request = ended(ctx, work, "rejected")
    outcomes.settle(ctx)
    change(ctx, request, state="merged", decided_at=utc_now() + timedelta(seconds=1))
    assert outcomes.settle(ctx) == 1
    found = row(ctx, request)
    assert found is not None
    assert found.outcome == "at_once"


def test_a_landed_revert_counts_until_it_is_reverted_itself(ctx: Context, work: Task) -> None:
    request = ended(ctx, work)
    outcomes.settle(ctx)
    revert = make.merge_request(ctx, None, work, reverts_id=request.id)
    assert outcomes.settle(ctx) == 0
    change(ctx, revert, state="merged", decided_at=utc_now())
    assert outcomes.settle(ctx) == 1
    assert is_reverted(ctx, request)
    make.merge_request(ctx, None, work, reverts_id=revert.id, state="merged", decided_at=utc_now())
    assert outcomes.settle(ctx) == 1
    assert not is_reverted(ctx, request)
    assert outcomes.settle(ctx) == 0


def is_reverted(ctx: Context, request: MergeRequest) -> bool:
    found = row(ctx, request)
    assert found is not None
    return found.is_reverted


def test_a_task_judged_twice_pays_for_each_once(ctx: Context, work: Task) -> None:
    first = ended(ctx, work, "rejected")
    second = ended(ctx, work)
    outcomes.settle(ctx)
    costs = [found.output_tokens for each in (first, second) if (found := row(ctx, each))]
    assert costs == [1500, 1500]


def test_without_a_known_price_the_cost_is_unknown(ctx: Context, work: Task) -> None:
    agent = make.agent(ctx, "own", model="house-model")
    session = make.session(ctx, agent, work, model="house-model")
    make.usage(ctx, session, [7])
    request = make.merge_request(ctx, session, work, state="merged", decided_at=utc_now())
    outcomes.settle(ctx)
    found = row(ctx, request)
    assert found is not None
    assert (found.cost_usd, found.model) == (None, "house-model")


def test_an_old_database_is_told_piece_by_piece_and_then_left_alone(
    ctx: Context, work: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [ended(ctx, work) for _ in range(5)]
    monkeypatch.setattr(outcomes, "_AT_ONCE", 2)
    recorder = outcomes.Recorder()
    for _ in range(4):
        recorder.look(ctx)
    assert all(row(ctx, request) for request in requests)
    late = ended(ctx, work)  # without a line in the ledger nothing is looked for
    recorder.look(ctx)
    assert row(ctx, late) is None
    with ctx.db.write() as db:
        record(db, "land", f"merge request {late.id}")
    recorder.look(ctx)
    assert row(ctx, late)
