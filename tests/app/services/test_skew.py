"""Clocks that differ, clocks that are set back, zones around a reset, accounts that are gone."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest

from agents.events import Quota, QuotaWindow
from app.models import Account, QuotaReading, Session, Task
from app.models.base import utc_now
from app.services import accounts, evacuation, gauges, login_loss, parking, quota, quotas
from app.services.context import Context
from app.services.dispatch import dispatch
from app.services.turns import settle_turns
from app.store import quota as readings
from tests.app import factories as make
from tests.app.services.ports import Harbour

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
KATHMANDU = timezone(timedelta(hours=5, minutes=45))


def tell(
    ctx: Context, account_id: int, used: float, at: datetime, resets_at: datetime | None = None
) -> None:
    with ctx.db.write() as db:
        window = QuotaWindow("five_hour", used, 300, resets_at)
        quota.store_readings(db, [(account_id, at, Quota([window]))])


def kept(ctx: Context, account_id: int) -> QuotaReading:
    with ctx.db.read() as db:
        [row] = readings.of_account(db, account_id)
    return row


def test_after_our_clock_was_set_back_readings_are_believed_again(ctx: Context) -> None:
    login, now = make.account(ctx).id or 0, utc_now()
    tell(ctx, login, 90, now + 3 * HOUR)  # our clock was three hours ahead
    tell(ctx, login, 20, now)
    assert (kept(ctx, login).used_percent, kept(ctx, login).observed_at) == (20, now)
    tell(ctx, login, 30, now - MINUTE)
    assert kept(ctx, login).used_percent == 20


def test_two_clocks_that_differ_by_minutes_do_not_change_the_order(ctx: Context) -> None:
    login, now = make.account(ctx).id or 0, utc_now()
    tell(ctx, login, 40, now + 2 * MINUTE)
    tell(ctx, login, 35, now)
    assert kept(ctx, login).used_percent == 40


def test_a_reset_is_one_moment_in_every_zone(ctx: Context) -> None:
    """The night the clocks change too: what counts is the offset that was told."""
    login = make.account(ctx).id or 0
    told = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))  # Berlin, the first
    before = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    for said in (told, told.astimezone(KATHMANDU), datetime(2026, 10, 25, 0, 30)):  # no zone: UTC
        tell(ctx, login, 50, before, said)
        row = kept(ctx, login)
        assert row.resets_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        assert quota.used_percent(row, told.astimezone(UTC) - MINUTE) == 50
        assert quota.used_percent(row, told.astimezone(UTC)) is None


def limited(ctx: Context, harbour: Harbour, resets_at: datetime) -> Session:
    login = harbour.login("Max", 100)
    session = harbour.at_work(
        harbour.agent("maple", login),
        pending_outcome="limited",
        pending_resets_at=resets_at,
        activity="waiting_quota",
    )
    assert settle_turns(ctx) == 1
    return session


@pytest.mark.parametrize("ahead", [-4, 4], ids=["the vendor is behind", "the vendor is ahead"])
def test_a_vendors_clock_that_differs_costs_minutes_and_no_loop(
    ctx: Context, harbour: Harbour, ahead: int
) -> None:
    """Its reset, told by its own clock, comes at another moment of ours."""
    session = limited(ctx, harbour, utc_now() + ahead * MINUTE)
    with ctx.db.read() as db:
        task = db.get_one(Task, session.task_id)
    assert task.parked_until is not None
    wait = task.parked_until - utc_now()
    # A reset in our past is no time (the vendor is behind, or the clock stands): look in 15 min.
    assert wait < (5 * MINUTE if ahead > 0 else 16 * MINUTE)
    assert wait > 3 * MINUTE
    before = harbour.changes()
    assert parking.unpark(ctx) == 0
    assert dispatch(ctx) == []
    assert harbour.changes() == before


def test_no_clock_keeps_a_task_for_ever(ctx: Context, harbour: Harbour) -> None:
    """Told while our clock was a day ahead, or by a vendor in another age."""
    session = limited(ctx, harbour, utc_now() + timedelta(days=4000))
    with ctx.db.read() as db:
        until = db.get_one(Task, session.task_id).parked_until
        closed = db.get_one(Account, session.account_id).limited_until
    assert until is not None
    assert until == closed
    assert until - utc_now() < timedelta(days=8, minutes=2)


def test_what_is_told_of_an_account_that_was_removed_is_ignored(ctx: Context) -> None:
    gone, here = make.account(ctx, "gone").id or 0, make.account(ctx, "here").id or 0
    accounts.remove_account(ctx, name="gone")
    now = utc_now()
    windows = [QuotaWindow("five_hour", 100, 300, now + HOUR)]
    told = [(account, now, Quota(windows, "rejected")) for account in (gone, here, 4711)]
    with ctx.db.write() as db:
        quota.store_readings(db, told)
    with ctx.db.read() as db:
        assert [row.account_id for row in readings.every(db)] == [here]


def test_a_session_whose_account_is_gone_stops_nobody(ctx: Context, harbour: Harbour) -> None:
    """Nothing of ours removes it; a database that was mended by hand may lack it all the same."""
    other = harbour.task()
    harbour.agent("otter", harbour.login("Pro", 20))
    session = harbour.at_work(
        harbour.agent("maple", harbour.login("Max", 20)),
        pending_outcome="limited",
        pending_resets_at=utc_now() + HOUR,
    )
    raw = sqlite3.connect(ctx.home.path / "quarterdeck.db", isolation_level=None)
    raw.execute("DELETE FROM quotareading WHERE account_id = ?", (session.account_id,))
    raw.execute("DELETE FROM account WHERE id = ?", (session.account_id,))
    raw.close()
    assert settle_turns(ctx) == 1
    assert harbour.row(session.task_id).state == "parked"
    for step in (quotas.enforce, login_loss.settle, evacuation.look, parking.unpark, dispatch):
        step(ctx)
    with ctx.db.read() as db:
        gauges.strip(db, utc_now())
        gauges.windows(db, utc_now())
    assert harbour.row(other).state == "running"
