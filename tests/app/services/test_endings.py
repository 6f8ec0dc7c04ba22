"""How budgets ended: once for each reset, whatever the meter says and however often."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from agents.events import Quota, QuotaWindow
from app.models import Account, QuotaEnd
from app.models.base import utc_now
from app.services import endings, gauges, quota
from app.services.context import Context
from app.store import quota as readings
from tests.app import factories as make

NOW = utc_now().replace(microsecond=0)
HOUR, MINUTE, WEEK = timedelta(hours=1), timedelta(minutes=1), timedelta(weeks=1)


@pytest.fixture
def login(ctx: Context) -> Account:
    return make.account(ctx, week_usd=400.0)


def tell(ctx: Context, login: Account, at: datetime, *windows: QuotaWindow) -> None:
    with ctx.db.write() as db:
        quota.store_readings(db, [(login.id or 0, at, Quota(list(windows)))])


def week(percent: float, resets_at: datetime | None) -> QuotaWindow:
    return QuotaWindow("seven_day", percent, 10080, resets_at)


def ends(ctx: Context) -> list[QuotaEnd]:
    with ctx.db.read() as db:
        return readings.ends(db, NOW - 20 * WEEK)


def test_the_last_reading_before_a_reset_is_kept(ctx: Context, login: Account) -> None:
    reset = NOW - 2 * HOUR
    tell(ctx, login, reset - HOUR, week(60, reset))
    tell(ctx, login, reset - MINUTE, week(62, reset))
    assert ends(ctx) == []
    for _ in range(2):
        tell(ctx, login, NOW, week(3, reset + WEEK))
    (end,) = ends(ctx)
    assert (end.ended_at, end.used_percent, end.capacity_usd) == (reset, 62, 400)
    with ctx.db.read() as db:
        (past,) = gauges.expired(db, NOW - WEEK)
    assert (past.expired_usd, past.account) == (pytest.approx(152), login.name)
    assert past.read_hours_before == pytest.approx(1 / 60, abs=0.01)


def test_a_reset_that_nobody_read_is_swept_up_once(ctx: Context, login: Account) -> None:
    reset = NOW - HOUR
    tell(ctx, login, reset - HOUR, week(30, reset))
    assert endings.sweep(ctx, reset - MINUTE) == 0
    assert [endings.sweep(ctx, NOW), endings.sweep(ctx, NOW)] == [1, 0]
    tell(ctx, login, reset - MINUTE, week(31, reset + 20 * timedelta(seconds=1)))  # late
    assert endings.sweep(ctx, NOW) == 0
    tell(ctx, login, NOW, week(1, reset + WEEK))
    (end,) = ends(ctx)
    assert (end.ended_at, end.used_percent) == (reset, 31)


def test_a_meter_that_jumps_to_a_new_window_ended_the_old(ctx: Context, login: Account) -> None:
    tell(ctx, login, NOW - HOUR, week(70, NOW + 50 * HOUR))
    tell(ctx, login, NOW, week(2, NOW + WEEK))
    (end,) = ends(ctx)
    assert (end.ended_at, end.used_percent) == (NOW, 70)


def test_corrections_drifts_and_throttles_end_nothing(ctx: Context, login: Account) -> None:
    tell(ctx, login, NOW - 3 * HOUR, week(60, NOW + 50 * HOUR))
    tell(ctx, login, NOW - 2 * HOUR, week(2, NOW + 50 * HOUR))  # more was granted
    tell(ctx, login, NOW - HOUR, week(3, NOW + 53 * HOUR))  # drift
    tell(ctx, login, NOW - 5 * HOUR, week(90, NOW - 4 * HOUR))  # older
    tell(ctx, login, NOW - 2 * HOUR, QuotaWindow("five_hour", 80, 300, NOW - HOUR))
    tell(ctx, login, NOW, QuotaWindow("five_hour", 1, 300, NOW + 5 * HOUR))
    assert ends(ctx) == []


def test_without_a_capacity_the_dollars_are_unknown(ctx: Context) -> None:
    bare = make.account(ctx, "bare")
    tell(ctx, bare, NOW - 3 * HOUR, week(10, NOW - HOUR))
    tell(ctx, bare, NOW, week(0, NOW + WEEK))
    with ctx.db.read() as db:
        (past,) = gauges.expired(db, NOW - WEEK)
    assert (past.used_percent, past.capacity_usd, past.expired_usd) == (10, None, None)


def test_seconds_for_minutes_and_impossible_times(ctx: Context, login: Account) -> None:
    tell(
        ctx,
        login,
        NOW,
        QuotaWindow("a", 5, 18_000, NOW + HOUR),
        QuotaWindow("b", 5, 604_800, datetime.max),
        QuotaWindow("c", 5, 10**9, datetime(1, 1, 1, tzinfo=UTC)),
    )
    tell(ctx, login, datetime(9998, 1, 1), QuotaWindow("d", 5, 300))  # a clock gone mad
    tell(ctx, login, NOW + HOUR, QuotaWindow("d", 9, 300))
    with ctx.db.read() as db:
        rows = {row.kind: row for row in readings.of_account(db, login.id or 0)}
    assert [rows[kind].window_minutes for kind in "abc"] == [300, 10080, None]
    assert (rows["b"].resets_at, rows["c"].resets_at) == (None, None)
    assert rows["d"].used_percent == 9


HOURS = st.integers(-24 * 60, 24 * 20).map(lambda hours: NOW + hours * HOUR)
ODD = st.sampled_from(
    [datetime.min, datetime.max, datetime(2026, 1, 1), datetime(1, 1, 1, tzinfo=UTC)]
)
WINDOWS = st.builds(
    QuotaWindow,
    st.sampled_from(["seven_day", "seven_day", "five_hour", "primary", "weekly"]),
    st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([1e9, 0.0, 100.0, 40.0]),
    st.sampled_from([None, 300, 10080, 18_000, 604_800, 0, -1, 10**12]),
    st.none() | HOURS | ODD,
)
TOLD = st.tuples(
    HOURS | ODD,
    st.builds(
        Quota,
        st.lists(WINDOWS, max_size=3),
        st.sampled_from(["allowed", "warning", "rejected"]),
    ),
)


@bounds(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TOLD, max_size=10))
def test_no_meter_breaks_the_gauges(ctx: Context, story: list[tuple[datetime, Quota]]) -> None:
    another = make.account(ctx, f"lied to {make.sha()}", week_usd=100.0)
    key = another.id or 0
    with ctx.db.write() as db:
        quota.store_readings(db, [(key, at, event) for at, event in story])
    endings.sweep(ctx, NOW)
    said = {window.used_percent for _, event in story for window in event.windows}
    with ctx.db.read() as db:
        drawn = gauges.windows(db, NOW)
        gauges.strip(db, NOW, drawn)
        past = gauges.expired(db, NOW - 100 * WEEK)
        gauges.heat(db, NOW)
    for gauge in drawn[key]:
        assert gauge.used is None or 0 <= gauge.used <= 100
        if gauge.used == 0:
            assert 0 in said
        lands = gauge.forecast.lands_percent
        assert lands is None or gauge.used is None or gauge.used <= lands <= 1000
    for end in past:
        assert 0 <= end.used_percent <= 100
        assert end.used_percent > 0 or end.account_id != key or 0 in said
