"""Until when work stands still where it is, if it does: what a move would save."""

from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import Account, QuotaReading, Task
from app.services.quota import is_refused
from app.store import quota

SOON = timedelta(minutes=15)  # a window that runs dry within this is as good as dry
SAMPLES = timedelta(minutes=45)  # of its past, for the pace


def stalled_until(db: Orm, account: Account, task: Task | None, now: datetime) -> datetime | None:
    """When the account's refusal or dry window ends, or the task's parking; None: it works on."""
    times = [account.limited_until]
    if task is not None and task.state == "parked":
        times.append(task.parked_until)
    for reading in quota.of_account(db, account.id or 0):
        if is_refused(reading, now):
            times.append(reading.refused_until or reading.resets_at)
        elif _is_nearly_dry(db, reading, now):
            times.append(reading.resets_at)
    return max((time for time in times if time is not None and time > now), default=None)


def _is_nearly_dry(db: Orm, reading: QuotaReading, now: datetime) -> bool:
    """At the pace of the last three quarters of an hour it is full within a quarter."""
    if reading.resets_at is None or reading.resets_at <= now + SOON:
        return False
    if reading.used_percent >= 100:
        return True
    past = quota.samples(db, reading.account_id, reading.kind, now - SAMPLES)
    before = [s for s in past if s.observed_at < reading.observed_at - timedelta(minutes=4)]
    if not before:
        return False
    gone = reading.observed_at - before[0].observed_at
    pace = (reading.used_percent - before[0].used_percent) / gone.total_seconds()
    ahead = (now + SOON - reading.observed_at).total_seconds()
    return pace > 0 and reading.used_percent + pace * ahead >= 100
