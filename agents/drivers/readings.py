"""One window out of what a vendor tells of it: a percentage, a length, a reset. Pure.

Meters err: resets come in seconds or milliseconds, lengths in minutes or seconds, some windows
without a number. What is not told, or is over already, gives no window; never one of 0 %.
"""

import math
from datetime import UTC, datetime, timedelta

from agents.events import QuotaWindow

KINDS = {300: "five_hour", 10_080: "seven_day"}  # minutes: what both vendors' windows are called
SKEW = timedelta(minutes=2)  # two clocks differ by so much without being wrong
_LONGEST_MINUTES = 45 * 24 * 60
_MILLISECONDS = 100_000_000_000  # as seconds this is the year 5138
_SECONDS = 1_000_000_000  # below it is no time of this century


def window(
    kind: str, percent: object, minutes: int | None, resets: object, now: datetime | None = None
) -> QuotaWindow | None:
    """The reading, or None where no percentage was told or the window ended before `now`."""
    used, resets_at = number(percent), instant(resets)
    if used is None or (now and resets_at and resets_at < now - SKEW):
        return None
    return QuotaWindow(kind, used, minutes, resets_at)


def kind_of(minutes: int | None) -> str:
    """What a window of that length is called."""
    return KINDS.get(minutes, f"{minutes}m") if minutes else "unknown"


def minutes_of(told: object) -> int | None:
    """Whole minutes of a length that is told in minutes, or in seconds by mistake."""
    length = number(told)
    if not length:
        return None
    if length / 60 in KINDS or length > _LONGEST_MINUTES:
        length /= 60
    return round(length) or None


def number(told: object) -> float | None:
    """A finite number that is not negative, also out of its text; None for anything else."""
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        value = float(told)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and value >= 0 else None


def instant(told: object) -> datetime | None:
    """A UTC time out of epoch seconds, milliseconds or an ISO text; None for anything else."""
    try:
        if (seconds := number(told)) is not None:
            seconds = seconds / 1000 if seconds >= _MILLISECONDS else seconds
            return datetime.fromtimestamp(seconds, UTC) if seconds >= _SECONDS else None
        if not isinstance(told, str):
            return None
        at = datetime.fromisoformat(told)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
