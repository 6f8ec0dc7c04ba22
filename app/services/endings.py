"""How full budgets were when they reset: written once for each reset, however often it is told."""

from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import QuotaEnd, QuotaReading
from app.services import capacity
from app.services.context import Context
from app.store import accounts, quota

_EARLY_POINTS = 5.0  # a fall of so much, with a later reset, is a new window
_EARLY_SHARE = 0.1  # of a window's length: resets drift by less


def note(db: Orm, known: QuotaReading, told: QuotaReading) -> None:
    """Keep what the known reading's budget ended with, where the newer one is of another window.

    Its reset has passed, or the meter jumped: less used, and a reset that is clearly later.
    """
    if not capacity.is_budget(known) or told.observed_at < known.observed_at:
        return
    ended_at = known.resets_at
    if ended_at is None or known.observed_at >= ended_at:
        return
    if told.observed_at < ended_at:
        if not _jumped(known, told, ended_at):
            return
        ended_at = told.observed_at
    _keep(db, known, ended_at)


def sweep(ctx: Context, now: datetime) -> int:
    """Keep the ends of budgets whose reset has passed and that nobody has read since; how many."""
    with ctx.db.read() as db:
        over = [row for row in quota.every(db) if _is_over(row, now)]
        new = [row for row in over if quota.end_near(db, row, row.resets_at, _near(row)) is None]
    if new:
        with ctx.db.write() as db:
            for row in new:
                known = quota.reading(db, row.account_id, row.kind)
                if known is not None and known.resets_at is not None and _is_over(known, now):
                    _keep(db, known, known.resets_at)
    return len(new)


def _is_over(reading: QuotaReading, now: datetime) -> bool:
    ended_at = reading.resets_at
    return (
        capacity.is_budget(reading)
        and ended_at is not None
        and reading.observed_at < ended_at <= now
    )


def _jumped(known: QuotaReading, told: QuotaReading, ended_at: datetime) -> bool:
    fell = known.used_percent - told.used_percent >= _EARLY_POINTS
    return fell and told.resets_at is not None and told.resets_at - ended_at > _near(known)


def _near(reading: QuotaReading) -> timedelta:
    """Times closer than this are one reset."""
    return timedelta(minutes=_EARLY_SHARE * (reading.window_minutes or 0))


def _keep(db: Orm, known: QuotaReading, ended_at: datetime) -> None:
    """One row for one end: resets are told a few seconds apart, and late readings come."""
    end = quota.end_near(db, known, ended_at, _near(known))
    if end is None:
        end = QuotaEnd(
            account_id=known.account_id,
            kind=known.kind,
            ended_at=ended_at,
            used_percent=known.used_percent,
        )
    end.used_percent = known.used_percent
    account = accounts.get(db, known.account_id)
    if account is not None:
        end.capacity_usd = capacity.of_window(account, known).usd
    db.add(end)
