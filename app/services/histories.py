"""What gauges remember between two drawings: meters' histories, forecasts of this minute.

Histories are read from the database once and extended by what is newer. Everything here can be
forgotten at any time; it belongs to one database and goes with it.
"""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlmodel import Session as Orm

from app.models import QuotaReading
from app.models.quota import SAMPLE_SECONDS
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


@dataclass
class Memory:
    """Of one database."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    histories: dict[tuple[int, str], _History] = field(default_factory=dict)
    kept: dict[Hashable, tuple[Hashable, Any]] = field(default_factory=dict)

    def keep(self, name: Hashable, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made for this name and key; made anew where the key is another."""
        with self.lock:
            known = self.kept.get(name)
        if known is None or known[0] != key:
            known = (key, make())  # two may make it at once; nobody waits for it
            with self.lock:
                self.kept[name] = known
        return known[1]


_memories: WeakKeyDictionary[Engine, Memory] = WeakKeyDictionary()
_lock = threading.Lock()


def memory(db: Orm) -> Memory:
    """What is remembered of the session's database."""
    engine = cast(Engine, db.get_bind())
    with _lock:
        return _memories.setdefault(engine, Memory())


def track(db: Orm, reading: QuotaReading, now: datetime) -> Track:
    """The history of a window up to its reading. Read it under the memory's lock only."""
    ours = memory(db)
    key = (reading.account_id, reading.kind)
    with ours.lock:
        known = ours.histories.get(key)
        if known is None or now - known.read_at > _AGAIN or now < known.read_at:
            known = ours.histories[key] = _read(db, reading, now)
        elif reading.observed_at != known.seen_at:
            told = quota.points(db, *key, known.slot)
            _extend(known, told)
            known.seen_at = reading.observed_at
        return known.track


def _read(db: Orm, reading: QuotaReading, now: datetime) -> _History:
    key = (reading.account_id, reading.kind)
    fine = _slot(now - timedelta(days=_FINE_DAYS))
    coarse = quota.history(db, *key, _slot(now - timedelta(days=HISTORY_DAYS)))
    history = _History(Track(), now, reading.observed_at, 0)
    _extend(history, [point for point in coarse if point[0] < fine])
    _extend(history, quota.points(db, *key, fine))
    return history


def _extend(history: _History, points: list[tuple[int, float]]) -> None:
    for slot, percent in points:
        history.track.put((slot + 0.5) * SAMPLE_SECONDS, percent)
        history.slot = slot


def _slot(at: datetime) -> int:
    return int(at.timestamp()) // SAMPLE_SECONDS
