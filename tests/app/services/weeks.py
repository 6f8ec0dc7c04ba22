"""Weeks that a meter lived through, made by a rate for each hour, as samples and readings."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from app.models import QuotaReading, QuotaSample
from app.models.quota import SAMPLE_SECONDS

HOUR = timedelta(hours=1)
STEP = timedelta(seconds=SAMPLE_SECONDS)
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)  # 00:00; budgets of these weeks reset then
WEEK_MINUTES = 7 * 24 * 60

Rate = Callable[[datetime], float]  # percent an hour


def steady(percent_an_hour: float) -> Rate:
    return lambda _: percent_an_hour


def office(percent_an_hour: float) -> Rate:
    """Monday to Friday, 9:00 to 18:00."""

    def rate(at: datetime) -> float:
        return percent_an_hour if at.weekday() < 5 and 9 <= at.hour < 18 else 0.0

    return rate


def lived(
    rate: Rate, until: datetime, *, weeks: int = 0, whole: bool = True, kind: str = "seven_day"
) -> list[QuotaSample]:
    """Samples every five minutes from some weeks before this one's Monday on, up to a moment."""
    at = until - (until - MONDAY) % timedelta(weeks=1) - timedelta(weeks=weeks)
    used, samples = 0.0, []
    while at <= until:
        if (at - MONDAY) % timedelta(weeks=1) == timedelta(0):
            used = 0.0
        told = float(int(used)) if whole else used
        samples.append(sample(at, told, kind))
        used = min(used + rate(at) * STEP / HOUR, 100.0)
        at += STEP
    return samples


def sample(at: datetime, percent: float, kind: str = "seven_day", login: int = 1) -> QuotaSample:
    slot = int(at.timestamp()) // SAMPLE_SECONDS
    return QuotaSample(account_id=login, kind=kind, slot=slot, observed_at=at, used_percent=percent)


def reading(last: QuotaSample, resets_at: datetime | None, minutes: int | None) -> QuotaReading:
    return QuotaReading(
        account_id=last.account_id,
        kind=last.kind,
        used_percent=last.used_percent,
        window_minutes=minutes,
        resets_at=resets_at,
        observed_at=last.observed_at,
    )


def week_of(samples: list[QuotaSample]) -> QuotaReading:
    """The reading of the last sample, of a budget that resets on Mondays."""
    last = samples[-1]
    gone = (last.observed_at - MONDAY) % timedelta(weeks=1)
    return reading(last, last.observed_at - gone + timedelta(weeks=1), WEEK_MINUTES)
