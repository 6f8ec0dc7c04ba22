"""Parking: when a limited task is looked at again, and in which steps an account's tasks return."""

from datetime import UTC, datetime, timedelta

import pytest

from app.models import Account, Session, Task
from app.models.base import utc_now
from app.services import parking
from app.services.context import Context
from app.services.turns import settle_turns
from app.store import accounts
from tests.app.services.ports import Harbour

TOLD = datetime(2030, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (None, TOLD + parking.UNKNOWN_RESET),
        (TOLD - timedelta(hours=1), TOLD + parking.UNKNOWN_RESET),
        (TOLD, TOLD + parking.UNKNOWN_RESET),
        (TOLD + timedelta(hours=3), TOLD + timedelta(hours=3) + parking.MARGIN),
        (datetime(9000, 1, 1, tzinfo=UTC), TOLD + parking.LONGEST_REFUSAL + parking.MARGIN),
    ],
)
def test_a_limit_is_looked_at_again(said: datetime | None, wanted: datetime) -> None:
    assert parking.returns_at(said, TOLD) == wanted


def limited(ctx: Context, harbour: Harbour, agents: int, *, resets_in: float | None) -> list[int]:
    login = harbour.login("Max", 100, 100)
    at = utc_now()
    found = []
    for number in range(agents):
        session = harbour.at_work(
            harbour.agent(f"a{number}", login),
            pending_outcome="limited",
            pending_resets_at=at + timedelta(hours=resets_in) if resets_in else None,
            activity="waiting_quota",
        )
        found.append(session.task_id)
    assert settle_turns(ctx) == agents
    return found


def test_a_limited_task_parks_and_frees_its_slot(ctx: Context, harbour: Harbour) -> None:
    (task,) = limited(ctx, harbour, 1, resets_in=2.0)
    row = harbour.row(task)
    assert row.state == "parked"
    assert row.parked_until is not None
    assert abs(row.parked_until - utc_now() - timedelta(hours=2)) < timedelta(seconds=70)
    with ctx.db.read() as db:
        session = db.get_one(Session, harbour.decisions()[0].session_id)
        assert session.wants_stop
        assert db.get_one(Account, session.account_id).limited_until == row.parked_until
    (said,) = harbour.decisions()
    assert (said.action, said.state, said.until_at) == ("park", "applied", row.parked_until)


def test_a_limit_without_a_time_is_looked_at_after_a_quarter(
    ctx: Context, harbour: Harbour
) -> None:
    (task,) = limited(ctx, harbour, 1, resets_in=None)
    until = harbour.row(task).parked_until
    assert until is not None
    assert abs(until - utc_now() - timedelta(minutes=15)) < timedelta(seconds=20)
    assert harbour.decisions()[0].action == "hold"


def test_tasks_return_one_by_one(ctx: Context, harbour: Harbour) -> None:
    tasks = limited(ctx, harbour, 3, resets_in=2.0)
    assert parking.unpark(ctx) == 0
    at = utc_now()
    move_time(ctx, tasks, at - timedelta(seconds=1))
    assert parking.unpark(ctx) == 1
    assert [harbour.row(task).state for task in tasks] == ["queued", "parked", "parked"]
    waits = [harbour.row(task).parked_until for task in tasks[1:]]
    steps = [round((wait - at).total_seconds()) for wait in waits if wait is not None]
    assert steps == [5, 10]
    assert parking.unpark(ctx) == 0


def move_time(ctx: Context, tasks: list[int], until: datetime) -> None:
    """As if the reset had come."""
    with ctx.db.write() as db:
        for task_id in tasks:
            row = db.get_one(Task, task_id)
            row.parked_until = until
            db.add(row)
        for account in accounts.every(db):
            account.limited_until = until
            db.add(account)


def test_where_the_probe_is_refused_again_the_others_wait_on(
    ctx: Context, harbour: Harbour
) -> None:
    tasks = limited(ctx, harbour, 3, resets_in=2.0)
    move_time(ctx, tasks, utc_now() - timedelta(seconds=1))
    parking.unpark(ctx)
    again = utc_now() + timedelta(hours=1)
    move_time(ctx, tasks[1:], utc_now() - timedelta(seconds=1))
    with ctx.db.write() as db:
        for account in accounts.every(db):
            account.limited_until = again
            db.add(account)
    assert parking.unpark(ctx) == 0
    assert harbour.row(tasks[1]).parked_until == again
    assert harbour.row(tasks[2]).parked_until == again + parking.STAGGER
    before = harbour.changes()
    assert parking.unpark(ctx) == 0
    assert harbour.changes() == before


@pytest.mark.parametrize("error", ["throttle", "overloaded"])
def test_a_throttle_is_tried_again_in_place(ctx: Context, harbour: Harbour, error: str) -> None:
    """A 429 without any header: the account is not limited, nobody moves, nothing is decided."""
    login = harbour.login("Max", 20)
    session = harbour.at_work(
        harbour.agent("maple", login),
        pending_outcome="failed",
        error=error,
        error_message="Too many requests.",
        activity="error",
    )
    settle_turns(ctx)
    row = harbour.row(session.task_id)
    assert (row.state, row.state_reason) == (
        "parked",
        "Too many requests. It is tried again by itself.",
    )
    with ctx.db.read() as db:
        assert db.get_one(Account, login.id).limited_until is None
    assert harbour.decisions() == []


def test_another_failure_is_for_the_human(ctx: Context, harbour: Harbour) -> None:
    session = harbour.at_work(
        harbour.agent("maple", harbour.login("Max", 20)),
        pending_outcome="failed",
        error="auth",
        error_message="Log in again.",
        activity="error",
    )
    settle_turns(ctx)
    row = harbour.row(session.task_id)
    assert (row.state, row.state_reason) == ("failed", "Log in again.")
