"""Queries on quota windows: the newest readings, their history, and how budgets ended."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, literal_column
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import QuotaEnd, QuotaReading, QuotaSample
from app.models.quota import SAMPLE_SECONDS, slot_of


def every(db: Orm) -> list[QuotaReading]:
    """The newest reading of every window of every account, by kind."""
    return list(db.exec(select(QuotaReading).order_by(QuotaReading.kind)))


def by_account(db: Orm) -> dict[int, list[QuotaReading]]:
    """The same by account id; an account that told nothing has no key."""
    told: dict[int, list[QuotaReading]] = {}
    for row in every(db):
        told.setdefault(row.account_id, []).append(row)
    return told


def of_account(db: Orm, account_id: int) -> list[QuotaReading]:
    wanted = select(QuotaReading).where(QuotaReading.account_id == account_id)
    return list(db.exec(wanted.order_by(QuotaReading.kind)))


def reading(db: Orm, account_id: int, kind: str) -> QuotaReading | None:
    return db.get(QuotaReading, (account_id, kind))


def sample(db: Orm, account_id: int, kind: str, slot: int) -> QuotaSample | None:
    return db.get(QuotaSample, (account_id, kind, slot))


def history(db: Orm, account_id: int, kind: str, first_slot: int) -> list[tuple[int, float]]:
    """The last sample of each hour from a slot on, (slot, percent used), oldest first."""
    per_hour: Any = literal_column(str(3600 // SAMPLE_SECONDS))
    lasts = (
        select(func.max(QuotaSample.slot))
        .where(
            QuotaSample.account_id == account_id,
            QuotaSample.kind == kind,
            col(QuotaSample.slot) >= first_slot,
        )
        .group_by(col(QuotaSample.slot).op("/")(per_hour))
    )
    wanted = select(QuotaSample.slot, QuotaSample.used_percent).where(
        QuotaSample.account_id == account_id,
        QuotaSample.kind == kind,
        col(QuotaSample.slot).in_(lasts),
    )
    return [(slot, used) for slot, used in db.exec(wanted.order_by(col(QuotaSample.slot)))]


def points(db: Orm, account_id: int, kind: str, first_slot: int) -> list[tuple[int, float]]:
    """Every sample from a slot on, (slot, percent used), oldest first."""
    wanted = select(QuotaSample.slot, QuotaSample.used_percent).where(
        QuotaSample.account_id == account_id,
        QuotaSample.kind == kind,
        col(QuotaSample.slot) >= first_slot,
    )
    return [(slot, used) for slot, used in db.exec(wanted.order_by(col(QuotaSample.slot)))]


def last_sample(db: Orm, account_id: int, kind: str, before: datetime) -> QuotaSample | None:
    """The newest sample before a moment."""
    wanted = select(QuotaSample).where(
        QuotaSample.account_id == account_id,
        QuotaSample.kind == kind,
        col(QuotaSample.slot) <= slot_of(before),
        col(QuotaSample.observed_at) < before,
    )
    return db.exec(wanted.order_by(col(QuotaSample.slot).desc()).limit(1)).first()


def ends(db: Orm, since: datetime) -> list[QuotaEnd]:
    """How budgets ended from a moment on, newest first."""
    wanted = select(QuotaEnd).where(col(QuotaEnd.ended_at) >= since)
    return list(db.exec(wanted.order_by(col(QuotaEnd.ended_at).desc(), QuotaEnd.kind)))


def end_near(
    db: Orm, reading: QuotaReading, at: datetime | None, within: timedelta
) -> QuotaEnd | None:
    """The end of that window that was noted for a moment, or for one that close to it."""
    if at is None:
        return None
    wanted = select(QuotaEnd).where(
        QuotaEnd.account_id == reading.account_id,
        QuotaEnd.kind == reading.kind,
        col(QuotaEnd.ended_at) >= at - within,
        col(QuotaEnd.ended_at) <= at + within,
    )
    return db.exec(wanted.order_by(col(QuotaEnd.ended_at).desc()).limit(1)).first()
