"""Meters' histories, for forecasts: read from the database once, then extended by what is newer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import QuotaReading
from app.models.quota import SAMPLE_SECONDS, slot_of
from app.services.memory import memory
from app.services.tracks import Track
from app.store import quota

HISTORY_DAYS = 8 * 7
_FINE_DAYS = 1  # the last hours count in five minutes, what is older in hours
_AGAIN = timedelta(hours=20)  # a history is read anew, so that it does not grow without end


@dataclass
class _History:
    track: Track
    read_at: datetime  # all of it
    seen_at: datetime  # the reading up to which it goes
    slot: int  # the last one, which may still change


def track(db: Orm, reading: QuotaReading, now: datetime) -> Track:
    """The history of a window up to its reading. Read it under the memory's lock only."""
    ours = memory(db)
    key = (reading.account_id, reading.kind)
    with ours.lock:
        histories: dict[tuple[int, str], _History] = ours.keep("histories", None, dict)
        known = histories.get(key)
        if known is None or now - known.read_at > _AGAIN or now < known.read_at:
            known = histories[key] = _read(db, reading, now)
        elif reading.observed_at != known.seen_at:
            told = quota.points(db, *key, known.slot)
            _extend(known, told)
            known.seen_at = reading.observed_at
        return known.track


def _read(db: Orm, reading: QuotaReading, now: datetime) -> _History:
    key = (reading.account_id, reading.kind)
    fine = slot_of(now - timedelta(days=_FINE_DAYS))
    coarse = quota.history(db, *key, slot_of(now - timedelta(days=HISTORY_DAYS)))
    history = _History(Track(), now, reading.observed_at, 0)
    _extend(history, [point for point in coarse if point[0] < fine])
    _extend(history, quota.points(db, *key, fine))
    return history


def _extend(history: _History, points: list[tuple[int, float]]) -> None:
    for slot, percent in points:
        history.track.put((slot + 0.5) * SAMPLE_SECONDS, percent)
        history.slot = slot
