"""Ranking: pure rules on facts, and the facts from real rows."""

from datetime import timedelta

from app.models.base import utc_now
from app.services.context import Context
from app.services.rank_rules import Facts, rank
from app.services.ranking import facts, ranked
from app.store import merge_requests
from tests.app import factories as make

HOURS = timedelta(hours=1)


def order(*rows: Facts) -> list[int]:
    return [each.request_id for each in rank(rows)]


def test_what_can_be_decided_now_comes_first() -> None:
    rows = [
        Facts(1, state="approved", check="passed"),
        Facts(2, has_conflicts=True),
        Facts(3, check="failed"),
        Facts(4, check="running"),
        Facts(5),
        Facts(6, check="passed"),
        Facts(7, state="changes_requested", check="passed"),
    ]
    assert order(*rows) == [6, 5, 4, 3, 2, 1, 7]


def test_what_holds_up_others_goes_before_what_is_quick() -> None:
    quick = Facts(1, check="passed", care="glance")
    blocking = Facts(2, check="passed", care="study", waiters=("“Port the CLI”", "#12"))
    assert order(quick, blocking) == [2, 1]


def test_deadlines_priority_age_and_cost_count() -> None:
    plain = Facts(1, check="passed")
    for better in (
        Facts(2, check="passed", due_in=5 * HOURS),
        Facts(2, check="passed", due_in=-5 * HOURS),
        Facts(2, check="passed", priority=1),
        Facts(2, check="passed", age=3 * HOURS),
        Facts(2, check="passed", cost_usd=3.1),
        Facts(2, check="passed", collisions=1),
        Facts(2, check="passed", released=1, idle_agents=2),
        Facts(2, check="passed", risks=("a",), risk_points=40),
    ):
        assert order(plain, better) == [2, 1], better
    assert order(plain, Facts(2, check="passed", priority=-1)) == [1, 2]


def test_of_equals_the_older_one_is_first() -> None:
    assert order(Facts(9), Facts(3)) == [3, 9]


def test_the_reasons_add_up_and_are_words() -> None:
    row = Facts(
        1,
        age=31 * HOURS,
        care="read",
        risks=("schema or migration", "depends on rich"),
        risk_points=65,
        check="passed",
        collisions=2,
        waiters=("“Port the CLI”",),
        released=1,
        idle_agents=3,
        due_in=-2 * HOURS,
        cost_usd=3.1,
        priority=1,
    )
    (found,) = rank([row])
    assert found.points == round(sum(reason["points"] for reason in found.reasons), 1)
    assert {reason["name"]: reason["says"] for reason in found.reasons} == {
        "decision": "its check passed: can be decided now",
        "deadline": "was due 2 h ago",
        "age": "waits for 31 h",
        "waiters": "“Port the CLI” waits for it",
        "idle": "1 idle agent could begin once it has landed",
        "priority": "its task's priority is 1",
        "collisions": "collides with 2 others",
        "risk": "schema or migration, depends on rich",
        "care": "one read is enough",
        "cost": "$3.10 went into it",
    }


def test_facts_come_from_the_rows(ctx: Context) -> None:
    now = utc_now()
    repo = make.repository(ctx)
    worker = make.agent(ctx, "maple")
    make.agent(ctx, "birch")
    work = make.task(ctx, repo, "Parse", state="review", priority=2)
    other = make.task(ctx, repo, "Other", state="running")
    make.task(ctx, repo, "Port the CLI", after=[work.id], deadline_at=now + 2 * HOURS)
    make.task(ctx, repo, "Waits for both", after=[work.id, other.id])
    session = make.session(ctx, worker, work, model="claude-sonnet-4-5", state="ended")
    make.usage(ctx, session, [1000, 500])
    request = make.merge_request(
        ctx,
        session,
        work,
        care="study",
        risks=[{"kind": "schema", "points": 40, "says": "schema", "paths": []}],
        created_at=now - 3 * HOURS,
    )
    rival = make.merge_request(ctx, None, work, after=[request.id])
    make.check(ctx, request, "passed")
    make.overlap(ctx, request, rival, "a.py")
    with ctx.db.read() as db:
        found = facts(db, merge_requests.open_ones(db), now)[request.id or 0]
        best = ranked(db, now)[0]
    assert found == Facts(
        request_id=request.id or 0,
        age=3 * HOURS,
        care="study",
        risks=("schema",),
        risk_points=40,
        check="passed",
        collisions=1,
        waiters=("“Port the CLI”", "“Waits for both”", f"#{rival.id}"),
        released=1,
        idle_agents=2,
        priority=2,
        due_in=2 * HOURS,
        cost_usd=found.cost_usd,
        output_tokens=1500,
    )
    assert found.cost_usd is not None
    assert found.cost_usd > 0
    assert best.request_id == request.id


def test_a_request_without_a_task_has_no_cost(ctx: Context) -> None:
    work = make.task(ctx, make.repository(ctx))
    revert = make.merge_request(ctx, None, work, task_id=None)
    with ctx.db.read() as db:
        found = facts(db, [revert], utc_now())[revert.id or 0]
    assert (found.cost_usd, found.output_tokens, found.waiters) == (None, 0, ())
