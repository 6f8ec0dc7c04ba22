"""Forecasts: made weeks land where they must, and no meter makes them break."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from app.models import QuotaReading, QuotaSample
from app.services.forecast import MOST_PERCENT, UNKNOWN, Forecast, forecast
from tests.app.services.weeks import (
    HOUR,
    MONDAY,
    WEEK_MINUTES,
    lived,
    office,
    reading,
    sample,
    steady,
    week_of,
)

WEDNESDAY_NOON = MONDAY + 60 * HOUR
FRIDAY_EVENING = MONDAY + (4 * 24 + 18) * HOUR
WEEK = timedelta(weeks=1)


def look(
    samples: list[QuotaSample], *, capacity_usd: float | None = 1000.0, reserve: float = 0.0
) -> Forecast:
    row, now = week_of(samples), samples[-1].observed_at
    return forecast(row, samples, now, capacity_usd=capacity_usd, reserve=reserve)


def test_a_steady_burner_lands_where_its_pace_says() -> None:
    seen = look(lived(steady(83 / 168), WEDNESDAY_NOON))
    assert seen.lands_percent is not None
    assert seen.spread_percent is not None
    assert abs(seen.lands_percent - 83) <= seen.spread_percent <= 8
    assert (seen.basis, seen.risk, seen.runs_dry_at) == ("pace", "expires", None)
    assert seen.expires_usd == pytest.approx(170, abs=40)
    assert seen.dry_probability is not None
    assert seen.dry_probability < 0.05


def test_one_that_runs_dry_says_when() -> None:
    dry_at = MONDAY + (3 * 24 + 15) * HOUR  # Thursday 15:00
    seen = look(lived(steady(100 / 87), MONDAY + 48 * HOUR))
    assert seen.risk == "dry"
    assert seen.runs_dry_at is not None
    assert abs(seen.runs_dry_at - dry_at) < 3 * HOUR
    assert seen.lands_percent == pytest.approx(193, abs=8)
    assert seen.dry_probability is not None
    assert seen.dry_probability > 0.95
    assert seen.expires_usd == 0


def test_office_hours_are_not_carried_through_the_weekend() -> None:
    samples = lived(office(80 / 45), FRIDAY_EVENING, weeks=4)
    seen = look(samples)
    assert (seen.basis, seen.risk) == ("hours of the week", "expires")
    assert seen.lands_percent == pytest.approx(80, abs=3)
    assert seen.spread_percent is not None
    assert seen.spread_percent < 3
    this_week = [row for row in samples if row.observed_at >= FRIDAY_EVENING - 5 * 24 * HOUR]
    naive = look(this_week)
    assert naive.basis == "pace"
    assert (naive.lands_percent or 0) > 100


def test_on_wednesday_the_rest_of_the_working_week_is_expected() -> None:
    seen = look(lived(office(90 / 45), WEDNESDAY_NOON, weeks=4))
    assert seen.lands_percent == pytest.approx(90, abs=4)


def test_three_weeks_are_needed_for_the_hours_of_the_week() -> None:
    def basis(weeks: int) -> str:
        return look(lived(office(1.5), WEDNESDAY_NOON, weeks=weeks)).basis

    assert (basis(2), basis(3), basis(4)) == ("pace", "hours of the week", "hours of the week")


def test_a_week_of_twice_the_work_is_scaled() -> None:
    usual = lived(office(0.8), MONDAY + WEEK * 4 - timedelta(minutes=5), weeks=3)
    busy = lived(office(1.6), MONDAY + WEEK * 4 + 60 * HOUR)
    seen = look([*usual, *busy])
    assert seen.basis == "hours of the week"
    assert 50 < (seen.lands_percent or 0) < 75  # the usual one lands at 36, the double at 72


def test_dry_hours_follow_the_hours_of_the_week() -> None:
    """It reaches 100 % on Friday at work, not in the night before."""
    seen = look(lived(office(100 / 40), MONDAY + (3 * 24 + 20) * HOUR, weeks=4))
    assert seen.runs_dry_at is not None
    assert seen.runs_dry_at.weekday() == 4
    assert 9 <= seen.runs_dry_at.hour < 18


def test_a_throttle_runs_dry_but_never_expires() -> None:
    start = MONDAY + 10 * HOUR
    samples = [sample(start + timedelta(minutes=n * 5), n * 3.0, "five_hour") for n in range(13)]
    row = reading(samples[-1], start + 5 * HOUR, 300)
    seen = forecast(row, samples, samples[-1].observed_at, capacity_usd=100, reserve=0)
    assert seen.expires_usd is None
    assert seen.risk == "dry"
    assert seen.runs_dry_at is not None
    assert abs(seen.runs_dry_at - (start + timedelta(minutes=100 / 3 * 5))) < timedelta(minutes=10)
    row.used_percent = 1.0
    idle = forecast(row, [], samples[-1].observed_at, capacity_usd=100, reserve=0)
    assert (idle.risk, idle.expires_usd) == ("ok", None)


def test_what_the_human_keeps_does_not_expire() -> None:
    samples = lived(steady(50 / 168), WEDNESDAY_NOON, whole=False)
    assert look(samples, reserve=20).expires_usd == pytest.approx(300, abs=10)
    assert look(samples, reserve=60).expires_usd == 0
    assert look(samples, reserve=60).risk == "ok"
    assert look(samples, capacity_usd=None).expires_usd is None


def test_the_unknown_stays_unknown() -> None:
    now = WEDNESDAY_NOON
    last = sample(now, 40)
    for row in (
        reading(last, None, WEEK_MINUTES),
        reading(last, now + HOUR, None),
        reading(last, now - HOUR, WEEK_MINUTES),  # has reset since
        reading(last, now + 300 * HOUR, WEEK_MINUTES),  # farther away than it is long
        reading(last, now + 168 * HOUR, WEEK_MINUTES),  # has just begun, nothing was before
    ):
        assert forecast(row, [last], now, capacity_usd=10, reserve=0) == UNKNOWN


def test_a_window_that_has_just_begun_goes_on_as_the_ones_before() -> None:
    seen = look(lived(steady(70 / 168), MONDAY + WEEK + HOUR, weeks=1, whole=False))
    assert seen.lands_percent == pytest.approx(70, abs=3)


def test_a_refused_window_is_dry_now() -> None:
    samples = lived(steady(0.5), WEDNESDAY_NOON)
    row = week_of(samples)
    row.status, row.refused_until = "rejected", row.resets_at
    seen = forecast(row, samples, WEDNESDAY_NOON, capacity_usd=None, reserve=0)
    assert (seen.risk, seen.runs_dry_at) == ("dry", WEDNESDAY_NOON)


def test_a_stale_reading_is_carried_forward_from_its_own_time() -> None:
    samples = lived(steady(83 / 168), WEDNESDAY_NOON, whole=False)
    later = forecast(
        week_of(samples), samples, WEDNESDAY_NOON + 24 * HOUR, capacity_usd=None, reserve=0
    )
    assert later.lands_percent == pytest.approx(83, abs=1)


MOMENTS = st.datetimes(
    datetime(2026, 9, 1), datetime(2026, 12, 31), timezones=st.just(UTC)
) | st.sampled_from(
    [datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC), WEDNESDAY_NOON]
)
PERCENTS = st.floats(0, 100) | st.integers(0, 100).map(float)
READINGS = st.builds(
    QuotaReading,
    account_id=st.just(1),
    kind=st.sampled_from(["five_hour", "seven_day", "primary", "seven_day_small"]),
    used_percent=PERCENTS,
    window_minutes=st.sampled_from([None, 1, 60, 300, 10080, 43200]),
    resets_at=st.none() | MOMENTS,
    status=st.sampled_from(["allowed", "warning", "rejected"]),
    refused_until=st.none() | MOMENTS,
    observed_at=MOMENTS,
)


@bounds(deadline=None)
@given(
    READINGS,
    st.lists(st.tuples(MOMENTS, PERCENTS), max_size=40),
    MOMENTS,
    st.none() | st.floats(0, 1e9),
    st.floats(0, 100),
)
def test_no_meter_breaks_a_forecast(
    row: QuotaReading,
    told: list[tuple[datetime, float]],
    now: datetime,
    capacity_usd: float | None,
    reserve: float,
) -> None:
    samples = [sample(at, percent) for at, percent in told]
    seen = forecast(row, samples, now, capacity_usd=capacity_usd, reserve=reserve)
    if seen.lands_percent is None:
        assert seen == UNKNOWN
        return
    assert row.used_percent <= seen.lands_percent <= MOST_PERCENT
    assert seen.spread_percent is not None
    assert 0 < seen.spread_percent < math.inf
    assert seen.dry_probability is not None
    assert 0 <= seen.dry_probability <= 1
    assert seen.risk in ("ok", "expires", "dry")
    assert seen.basis
    assert (seen.runs_dry_at is not None) == (seen.risk == "dry")
    if seen.runs_dry_at is not None:
        assert row.resets_at is not None
        assert now <= seen.runs_dry_at <= row.resets_at
    if capacity_usd is None:
        assert seen.expires_usd is None
    elif seen.expires_usd is not None:
        assert 0 <= seen.expires_usd <= capacity_usd
