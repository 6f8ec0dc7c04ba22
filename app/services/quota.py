"""Meter readings into rows: sparse, newest wins, a refusal holds until its window returns."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime

from sqlmodel import Session as Orm

from agents import events as ev
from app.models import QuotaReading, QuotaSample
from app.models.quota import SAMPLE_SECONDS
from app.store import quota

STALE_SECONDS = 600
_FULL_PERCENT, _HIGH_PERCENT = 100.0, 90.0
_SAMPLED_MINUTES = 60  # shorter windows return before anybody could plan with them
_LONGEST_MINUTES = 366 * 24 * 60


def store_readings(db: Orm, readings: Iterable[tuple[int, datetime, ev.Quota]]) -> None:
    """Merge what was said of accounts (id, when, what); repeating it changes nothing."""
    for account_id, observed_at, event in readings:
        told = [window for window in event.windows if math.isfinite(window.used_percent)]
        blamed = _blamed(told, event.status)
        for window in told:
            status = event.status if window.kind in blamed else "allowed"
            _store(db, _reading(account_id, window, status, event.source, observed_at))


def _store(db: Orm, told: QuotaReading) -> None:
    known = quota.reading(db, told.account_id, told.kind)
    if known is None:
        db.add(told)
    else:
        merge(known, told)
        db.add(known)
    _sample(db, told, known.window_minutes if known else told.window_minutes)
    db.flush()


def merge(known: QuotaReading, told: QuotaReading) -> None:
    """Bring a kept reading up to date. What was not told stays; what is older is ignored.

    A percentage may fall: meters are reset early, and plans grow.
    """
    if told.observed_at < known.observed_at:
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
    resets_at, minutes = _aware(window.resets_at), window.window_minutes
    return QuotaReading(
        account_id=account_id,
        kind=window.kind,
        used_percent=min(max(window.used_percent, 0.0), 100.0),
        window_minutes=minutes if minutes and 0 < minutes <= _LONGEST_MINUTES else None,
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
    slot = int(told.observed_at.timestamp()) // SAMPLE_SECONDS
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


def _aware(time: datetime | None) -> datetime | None:
    """A time that a meter wrote without a zone is UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
