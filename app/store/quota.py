"""Queries on quota windows: the newest readings, and their history."""

from datetime import datetime

from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import QuotaReading, QuotaSample


def every(db: Orm) -> list[QuotaReading]:
    """The newest reading of every window of every account, by kind."""
    return list(db.exec(select(QuotaReading).order_by(QuotaReading.kind)))


def of_account(db: Orm, account_id: int) -> list[QuotaReading]:
    wanted = select(QuotaReading).where(QuotaReading.account_id == account_id)
    return list(db.exec(wanted.order_by(QuotaReading.kind)))


def reading(db: Orm, account_id: int, kind: str) -> QuotaReading | None:
    return db.get(QuotaReading, (account_id, kind))


def sample(db: Orm, account_id: int, kind: str, slot: int) -> QuotaSample | None:
    return db.get(QuotaSample, (account_id, kind, slot))


def samples(db: Orm, account_id: int, kind: str, since: datetime) -> list[QuotaSample]:
    """Oldest first."""
    wanted = select(QuotaSample).where(
        QuotaSample.account_id == account_id,
        QuotaSample.kind == kind,
        col(QuotaSample.observed_at) >= since,
    )
    return list(db.exec(wanted.order_by(col(QuotaSample.slot))))
