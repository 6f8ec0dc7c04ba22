"""Meter readings into rows: sparse, newest wins, a refusal holds until its window returns."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlmodel import Session as Orm

from agents import events as ev
from app.models import Account, QuotaReading, QuotaSample
from app.models.base import utc_now
from app.models.quota import slot_of
from app.services import capacity, endings
from app.store import accounts, quota

STALE_SECONDS = 600
LONGEST_REFUSAL = timedelta(days=8)  # whatever was said, an account is tried again then
_FULL_PERCENT, _HIGH_PERCENT = 100.0, 90.0
_MOST_PERCENT = 1000.0  # more is no percentage; some meters do tell a little over 100
_SAMPLED_MINUTES = 60  # shorter windows return before anybody could plan with them
_LONGEST_MINUTES = 45 * 24 * 60  # a month, and some
_TOLD_IN_SECONDS = {seconds: seconds // 60 for seconds in (18_000, 86_400, 604_800, 2_592_000)}
_SKEW = timedelta(days=1)  # a reading from later than that would never be replaced
_AHEAD = timedelta(minutes=5)  # our own clock was set back, if what we know is from so far ahead
_KIND_CHARS = 100
_FARTHEST = timedelta(days=60)  # a reset farther away, either way, is not a time


def store_readings(db: Orm, readings: Iterable[tuple[int, datetime, ev.Quota]]) -> None:
    """Merge what was said of accounts (id, when, what); repeating it changes nothing.

    What a budget ended with is kept too (`endings`). Takes anything that a meter may say.
    """
    for account_id, said_at, event in readings:
        if accounts.get(db, account_id) is None:
            continue  # removed meanwhile
        observed_at = _present(said_at)
        told = [window for window in event.windows if _is_percent(window.used_percent)]
        blamed = _blamed(told, event.status)
        for window in told:
            status = event.status if window.kind in blamed else "allowed"
            _store(db, _reading(account_id, window, status, event.source, observed_at))


def _store(db: Orm, told: QuotaReading) -> None:
    known = quota.reading(db, told.account_id, told.kind)
    if known is None:
        db.add(told)
    else:
        endings.note(db, known, told)
        merge(known, told)
        db.add(known)
    _sample(db, told, known.window_minutes if known else told.window_minutes)
    db.flush()


def merge(known: QuotaReading, told: QuotaReading) -> None:
    """Bring a kept reading up to date. What was not told stays; what is older is ignored.

    A percentage may fall: meters are reset early, and plans grow.
    """
    if told.observed_at < known.observed_at <= utc_now() + _AHEAD:
        return
    at = told.observed_at
    known.used_percent, known.source, known.observed_at = told.used_percent, told.source, at
    known.window_minutes = told.window_minutes or known.window_minutes
    if told.resets_at is not None or (known.resets_at is not None and known.resets_at <= at):
        known.resets_at = told.resets_at
    if told.status == "rejected":
        known.status, known.refused_until = "rejected", told.refused_until or known.resets_at
    elif known.refused_until is None or known.refused_until <= at:
        known.status, known.refused_until = told.status, None


def is_refused(reading: QuotaReading, now: datetime) -> bool:
    """Whether the vendor still turns requests away; without a time, while the reading is fresh."""
    until = reading.refused_until
    holds = until > now if until is not None else not is_stale(reading, now)
    return reading.status == "rejected" and holds


def refused_until(
    account: Account, readings: Iterable[QuotaReading], now: datetime
) -> datetime | None:
    """When the vendor takes all requests again; None where it takes them.

    A refusal without a time counts as long as its reading is fresh. Windows of some models only
    close no account.
    """
    ends = [account.limited_until]
    ends += [
        reading.refused_until or reading.observed_at + timedelta(seconds=STALE_SECONDS)
        for reading in readings
        if is_refused(reading, now) and not capacity.scope(reading.kind)
    ]
    last = max((end for end in ends if end is not None and end > now), default=None)
    return min(last, now + LONGEST_REFUSAL) if last is not None else None


def used_percent(reading: QuotaReading, now: datetime) -> float | None:
    """How much is used, 0 to 100; None (unknown) where the window has reset since the reading."""
    has_reset = reading.resets_at is not None and reading.resets_at <= now
    return None if has_reset else reading.used_percent


def elapsed_percent(reading: QuotaReading, now: datetime) -> float | None:
    """How much of the window's time has gone, 0 to 100; None where its times are unknown."""
    if reading.resets_at is None or not reading.window_minutes or reading.resets_at <= now:
        return None
    left = (reading.resets_at - now).total_seconds() / 60
    return min(max(100 * (1 - left / reading.window_minutes), 0.0), 100.0)


def is_stale(reading: QuotaReading, now: datetime) -> bool:
    """Whether the reading is too old to be taken for the present."""
    return (now - reading.observed_at).total_seconds() > STALE_SECONDS


def _blamed(windows: list[ev.QuotaWindow], status: str) -> set[str]:
    """The windows that a warning or refusal is about: the full ones, else the fullest."""
    if status == "allowed" or not windows:
        return set()
    line = _FULL_PERCENT if status == "rejected" else _HIGH_PERCENT
    top = max(window.used_percent for window in windows)
    return {window.kind for window in windows if window.used_percent >= min(line, top)}


def _reading(
    account_id: int, window: ev.QuotaWindow, status: str, source: str, observed_at: datetime
) -> QuotaReading:
    resets_at = _plausible(window.resets_at, observed_at)
    return QuotaReading(
        account_id=account_id,
        kind=_kind(window.kind),
        used_percent=min(max(window.used_percent, 0.0), 100.0),
        window_minutes=_minutes(window.window_minutes),
        resets_at=resets_at,
        status=status,
        refused_until=resets_at if status == "rejected" else None,
        source=source,
        observed_at=observed_at,
    )


def _sample(db: Orm, told: QuotaReading, window_minutes: int | None) -> None:
    """Keep the last reading of each five minutes, in whatever order readings come."""
    if window_minutes is not None and window_minutes < _SAMPLED_MINUTES:
        return
    slot = slot_of(told.observed_at)
    kept = quota.sample(db, told.account_id, told.kind, slot)
    if kept is None:
        kept = QuotaSample(
            account_id=told.account_id,
            kind=told.kind,
            slot=slot,
            observed_at=told.observed_at,
            used_percent=told.used_percent,
        )
    elif kept.observed_at <= told.observed_at:
        kept.observed_at, kept.used_percent = told.observed_at, told.used_percent
    db.add(kept)


def _kind(told: str) -> str:
    """A window's name as a key: vendors make up new ones."""
    return told.replace("\0", "")[:_KIND_CHARS]


def _is_percent(told: float) -> bool:
    """What cannot be one is left out: below nothing it would become a 0 % that nobody told."""
    return math.isfinite(told) and 0.0 <= told <= _MOST_PERCENT


def _minutes(told: int | None) -> int | None:
    """A window's length; some meters say seconds for minutes, some nonsense."""
    minutes = _TOLD_IN_SECONDS.get(told or 0, told or 0)
    return minutes if 0 < minutes <= _LONGEST_MINUTES else None


def _plausible(reset: datetime | None, observed_at: datetime) -> datetime | None:
    """A reset as a time in UTC; None for what cannot be one. Without a zone it is UTC."""
    if reset is None:
        return None
    aware = reset.replace(tzinfo=UTC) if reset.tzinfo is None else reset
    return aware.astimezone(UTC) if abs(aware - observed_at) <= _FARTHEST else None


def _present(said_at: datetime) -> datetime:
    """When something was read, by a clock that may be wrong."""
    now = utc_now()
    aware = said_at.replace(tzinfo=UTC) if said_at.tzinfo is None else said_at
    return now if aware - now > _SKEW else aware.astimezone(UTC)
