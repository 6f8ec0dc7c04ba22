"""Where a quota window lands: its percent at the reset, when it runs dry, what will expire. Pure.

Two ways to look ahead. With three weeks of history: what the same hours of those weeks used, the
median of them, newest first, scaled to this week. Else: the window's burn so far, with the last
hours' pace fading into it.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from app.models import QuotaReading, QuotaSample
from app.services import quota
from app.services.capacity import is_budget
from app.services.slopes import weighted_median
from app.services.tracks import Track

Risk = Literal["ok", "expires", "dry", "unknown"]
Basis = Literal["pace", "hours of the week", ""]

MOST_PERCENT = 1000.0  # what a landing is cut to: ten windows' worth
_WEEK = 7 * 24.0  # hours
_WEEKS, _LEAST_WEEKS = 8, 3  # of history that are looked at, and needed
_WEEK_FADE = 0.8  # a week counts so much of the one after it
_WEEK_POINTS = 3  # a week told less often was not watched
_DRIFT_SPREAD = 0.15  # of the rise ahead: weeks differ more than so few of them show
_LEVEL_PRIOR = 10.0  # percent points of doubt that this week differs from the usual
_LEVEL_MOST = 2.0
_LEAST_ELAPSED = 0.02  # of a window: before that a pace says nothing
_PRIOR_SHARE = 1 / 14  # of a window's length, as long as an earlier pace is believed in a new one
_RECENT_HOURS = 6.0  # how long a budget's last pace goes on
_RECENT_SHARE = 0.2  # the same for a throttle, of its length
_CHUNKS = 28  # pieces of a window whose differences make the spread
_LEAST_CHUNKS = 4
_GUESS_SPREAD = 0.5  # of the rise ahead, where the past says nothing of its evenness
_METER_SPREAD = 1.0  # meters tell whole percents
_SMALL_PERCENT = 5.0  # less than this left at a reset is a full use
_FARTHEST = 1.1  # of its length: a reset that is farther away is a lie


@dataclass(frozen=True)
class Forecast:
    """A window at its reset, if work goes on as it did. None is unknown.

    `lands_percent` may exceed 100: what would be used, were there more. `runs_dry_at` is when the
    meter reaches 100 % before its reset. `expires_usd` are the dollars, at list price, of a budget
    that nobody will have used when it resets: capacity x (100 % - landing - reserve), never below
    0; what the human holds back for himself does not count as expiring. None for throttles, which
    return within hours, and without a known capacity.
    """

    lands_percent: float | None = None
    spread_percent: float | None = None  # two of three landings are within this, either way
    runs_dry_at: datetime | None = None
    dry_probability: float | None = None
    expires_usd: float | None = None
    risk: Risk = "unknown"
    basis: Basis = ""


UNKNOWN = Forecast()


@dataclass(frozen=True)
class _Ahead:
    """What is expected after the reading: percent points risen after so many hours."""

    rise: Callable[[float], float]
    spread: float
    basis: Basis


def forecast(
    reading: QuotaReading,
    samples: Track | Iterable[QuotaSample],
    now: datetime,
    *,
    capacity_usd: float | None,
    reserve: float = 0.0,
) -> Forecast:
    """Look ahead from the reading to its reset; `reserve` is the percent the human keeps.

    A reading without a length, a reset or a present meaning has an unknown forecast.
    """
    used = quota.used_percent(reading, now)
    if used is None or reading.resets_at is None or not reading.window_minutes:
        return UNKNOWN
    start = min(reading.observed_at, now)
    hours = (reading.resets_at - start).total_seconds() / 3600
    length = reading.window_minutes / 60
    if hours > _FARTHEST * length:
        return UNKNOWN
    ahead = _ahead(reading, _track(samples), start.timestamp(), hours, length)
    if ahead is None:
        return UNKNOWN
    lands = min(used + ahead.rise(hours), MOST_PERCENT)
    if quota.is_refused(reading, now):
        lands = max(lands, 100.0)
    return Forecast(
        lands_percent=lands,
        spread_percent=ahead.spread,
        runs_dry_at=_dry_at(reading, ahead, start, hours, now) if lands >= 100 else None,
        dry_probability=_above(100.0, lands, ahead.spread) if used < 100 else 1.0,
        expires_usd=_expires(reading, lands, capacity_usd, reserve),
        risk=_risk(reading, lands, ahead.spread, reserve),
        basis=ahead.basis,
    )


def _track(samples: Track | Iterable[QuotaSample]) -> Track:
    if isinstance(samples, Track):
        return samples
    told = sorted(samples, key=lambda sample: sample.observed_at)
    return Track((sample.observed_at.timestamp(), sample.used_percent) for sample in told)


def _ahead(
    reading: QuotaReading, track: Track, start: float, hours: float, length: float
) -> _Ahead | None:
    began = start - max(length - hours, 0.0) * 3600
    by_week = _by_week(track, began, start, hours) if is_budget(reading) else None
    if by_week is not None:
        return by_week
    recent = _RECENT_HOURS if is_budget(reading) else _RECENT_SHARE * length
    return _by_pace(track, reading.used_percent, began, start, hours, length, recent)


def _by_week(track: Track, began: float, start: float, hours: float) -> _Ahead | None:
    """The same hours of the weeks before, scaled by how this window compares with them so far."""
    week = _WEEK * 3600
    first = track.first
    pasts = [
        (start - n * week, _WEEK_FADE**n)
        for n in range(1, _WEEKS + 1)
        if first is not None
        and first <= start - n * week
        and track.count(start - n * week, start - (n - 1) * week) >= _WEEK_POINTS
    ]
    if len(pasts) < _LEAST_WEEKS:
        return None
    usual = weighted_median((track.rise(at - (start - began), at), w) for at, w in pasts) or 0.0
    level = (track.rise(began, start) + _LEVEL_PRIOR) / (usual + _LEVEL_PRIOR)
    level = min(max(level, 1 / _LEVEL_MOST), _LEVEL_MOST)

    def rise(after: float) -> float:
        return level * (weighted_median((_like(track, at, after), w) for at, w in pasts) or 0.0)

    middle = rise(hours)
    off = ((abs(level * _like(track, at, hours) - middle), w) for at, w in pasts)
    deviation = 1.4826 * (weighted_median(off) or 0.0)
    spread = math.hypot(deviation, _DRIFT_SPREAD * middle, _METER_SPREAD)
    return _Ahead(rise, spread, "hours of the week")


def _like(track: Track, at: float, hours: float) -> float:
    """What rose in the hours after a moment of an earlier week; a longer time repeats the week."""
    whole, rest = divmod(hours, _WEEK)
    risen = track.rise(at, at + rest * 3600)
    return risen + whole * track.rise(at, at + _WEEK * 3600) if whole else risen


def _by_pace(
    track: Track,
    used: float,
    began: float,
    start: float,
    hours: float,
    length: float,
    recent_hours: float,
) -> _Ahead | None:
    elapsed = (start - began) / 3600
    prior = _earlier_pace(track, began, length)
    if prior is not None:
        doubt = _PRIOR_SHARE * length
        mean = (used + prior * doubt) / (elapsed + doubt)
    elif elapsed >= _LEAST_ELAPSED * length:
        mean = used / elapsed
    else:
        return None
    since = start - recent_hours * 3600
    recent = mean
    if track.first is not None and track.first <= since and track.count(since, start + 1):
        recent = track.rise(since, start) / recent_hours

    def rise(after: float) -> float:
        fades = recent_hours * (1 - math.exp(-after / recent_hours))
        return mean * after + (recent - mean) * fades

    deviation = _unevenness(track, began, start, hours, length)
    if deviation is None:
        deviation = _GUESS_SPREAD * rise(hours)
    return _Ahead(rise, math.hypot(deviation, _METER_SPREAD), "pace")


def _earlier_pace(track: Track, began: float, length: float) -> float | None:
    """Percent points an hour before this window; None without a whole window of history."""
    first = track.first
    if first is None or began - first < length * 3600:
        return None
    return track.rise(first, began) / ((began - first) / 3600)


def _unevenness(
    track: Track, began: float, start: float, hours: float, length: float
) -> float | None:
    """How far off a landing may be if pieces of time differ as they did so far."""
    piece = length * 3600 / _CHUNKS
    first = max(began, track.first) if track.first is not None else start
    count = int((start - first) // piece)
    if count < _LEAST_CHUNKS:
        return None
    rises = [track.rise(start - (n + 1) * piece, start - n * piece) for n in range(count)]
    mean = sum(rises) / count
    variance = sum((rise - mean) ** 2 for rise in rises) / (count - 1)
    left = hours * 3600 / piece
    return math.sqrt(variance * (left + left * left / count))


def _dry_at(
    reading: QuotaReading, ahead: _Ahead, start: datetime, hours: float, now: datetime
) -> datetime:
    """When the meter reaches 100 %; now, where it has."""
    missing = 100.0 - reading.used_percent
    if missing <= 0 or quota.is_refused(reading, now):
        return now
    low, high = 0.0, hours
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if ahead.rise(middle) >= missing else (middle, high)
    return max(start + timedelta(hours=high), now)


def _above(line: float, mean: float, spread: float) -> float:
    return 0.5 * math.erfc((line - mean) / (spread * math.sqrt(2)))


def _expires(
    reading: QuotaReading, lands: float, capacity_usd: float | None, reserve: float
) -> float | None:
    if capacity_usd is None or not is_budget(reading):
        return None
    return capacity_usd * max(100.0 - lands - max(reserve, 0.0), 0.0) / 100


def _risk(reading: QuotaReading, lands: float, spread: float, reserve: float) -> Risk:
    if lands >= 100:
        return "dry"
    left = 100.0 - lands - max(reserve, 0.0)
    is_wasted = is_budget(reading) and left > max(_SMALL_PERCENT, spread)
    return "expires" if is_wasted else "ok"
