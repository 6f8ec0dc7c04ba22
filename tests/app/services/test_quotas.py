"""Quotas of agents and daily caps of accounts: who stops when, until 00:00 UTC."""

from typing import Any

import pytest

from app.models import Session, Task
from app.models.base import day_start, utc_now
from app.services import quotas, usage
from app.services.context import Context
from app.services.dispatch import dispatch
from tests.app import factories as make
from tests.app.services.ports import Harbour


def state(ctx: Context, session: Session) -> tuple[str, bool, str]:
    """(state of its task, whether it is asked to stop, the reason)."""
    with ctx.db.read() as db:
        row, task = db.get_one(Session, session.id), db.get_one(Task, session.task_id)
    return task.state, row.wants_stop, task.state_reason


@pytest.mark.parametrize(
    ("unit", "per_day", "said"),
    [
        ("usd", 4.0, "maple used $5.00 of its $4.00 a day"),
        ("tokens", 1000.0, "of its 1,000 output tokens a day"),
        ("percent", 0.5, "maple used 1.0 % of its account's week of its 0.5 %"),
    ],
)
def test_an_agent_over_its_quota_finishes_its_turn_and_parks(
    ctx: Context, harbour: Harbour, unit: str, per_day: float, said: str
) -> None:
    login = harbour.login("Max", 10)
    maple = harbour.agent("maple", login, quota_unit=unit, quota_per_day=per_day)
    session = harbour.at_work(maple)
    harbour.spent(session, 5.0)
    assert quotas.enforce(ctx) == 0  # its turn goes on
    assert state(ctx, session)[:2] == ("running", False)
    end_turn(ctx, session)
    assert quotas.enforce(ctx) == 1
    now, stops, reason = state(ctx, session)
    assert (now, stops) == ("parked", True)
    assert said in reason
    assert harbour.row(session.task_id).parked_until == quotas.midnight(utc_now())
    before = harbour.changes()
    assert quotas.enforce(ctx) == 0
    assert harbour.changes() == before


def end_turn(ctx: Context, session: Session) -> None:
    with ctx.db.write() as db:
        row = db.get_one(Session, session.id)
        row.activity = "idle"
        db.add(row)


def test_it_is_given_no_work_and_others_are(ctx: Context, harbour: Harbour) -> None:
    login = harbour.login("Max", 10)
    maple = harbour.agent("maple", login, quota_unit="usd", quota_per_day=4.0)
    old = harbour.at_work(maple)
    harbour.spent(old, 5.0)
    with ctx.db.write() as db:
        task, row = db.get_one(Task, old.task_id), db.get_one(Session, old.id)
        task.state, row.state = "done", "ended"
        db.add_all([task, row])
    named, other = harbour.task(wanted_agent_id=maple.id), harbour.task()
    assert dispatch(ctx) == []
    harbour.agent("otter", login)
    dispatch(ctx)
    assert (harbour.row(named).state, harbour.of(other)[0]) == ("queued", "otter")


def test_a_cap_stops_sessions_in_mid_turn(ctx: Context, harbour: Harbour) -> None:
    capped = harbour.login("Key", 10, daily_cap_usd=4.0)
    session = harbour.at_work(harbour.agent("maple", capped))
    free = harbour.at_work(harbour.agent("otter", harbour.login("Max", 10)))
    harbour.spent(session, 3.9)
    assert quotas.enforce(ctx) == 0
    harbour.spent(free, 50.0)
    harbour.spent(session, 0.2, "claude-sonnet-4-5")
    assert quotas.enforce(ctx) == 1
    now, stops, reason = state(ctx, session)
    assert (now, stops) == ("parked", True)
    assert "Key has spent $4.10 of its $4.00 a day" in reason
    assert state(ctx, free)[:2] == ("running", False)


@pytest.mark.parametrize("unit", ["usd", "percent"])
def test_what_has_no_price_stops_nobody(ctx: Context, harbour: Harbour, unit: str) -> None:
    login = harbour.login("Max", 10, daily_cap_usd=0.01)
    maple = harbour.agent("maple", login, quota_unit=unit, quota_per_day=0.01)
    session = harbour.at_work(maple, activity="idle", model="no-such-model")
    make.usage(ctx, session, [10_000])
    assert quotas.enforce(ctx) == 0


def test_a_task_that_waits_for_its_agent_parks_with_the_reason(
    ctx: Context, harbour: Harbour
) -> None:
    """A verdict came for an agent that has had enough today."""
    maple = harbour.agent("maple", harbour.login("Max", 10), quota_unit="usd", quota_per_day=4.0)
    session = harbour.at_work(maple, state="stopped", activity="idle")
    harbour.spent(session, 5.0)
    with ctx.db.write() as db:
        task = db.get_one(Task, session.task_id)
        task.state = "queued"
        db.add(task)
    assert quotas.enforce(ctx) == 1
    assert state(ctx, session)[0] == "parked"


def test_what_was_used_earlier_today_counts(ctx: Context, harbour: Harbour) -> None:
    session = harbour.at_work(harbour.agent("maple", harbour.login("Max", 10)))
    make.usage(ctx, session, [100] * 45)
    now = utc_now()
    minutes = min(45, int((now - day_start(now)).total_seconds()) // 60 + 1)
    for _ in range(2):
        with ctx.db.read() as db:
            used = usage.today(db, "agent", now)[session.agent_id]
        assert sum(tokens.output for tokens in used) == 100 * minutes


def test_without_quotas_and_caps_nothing_is_asked(ctx: Context, harbour: Harbour) -> None:
    more: dict[str, Any] = {"quota_unit": "usd", "quota_per_day": None}
    session = harbour.at_work(harbour.agent("maple", harbour.login("Max", 10), **more))
    harbour.spent(session, 500.0)
    assert quotas.enforce(ctx) == 0
