"""Queries on accounts."""

from sqlalchemy import delete
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import (
    Account,
    LogFile,
    LoggedCall,
    LoggedName,
    OutsideMinute,
    QuotaEnd,
    QuotaReading,
    QuotaSample,
)


def get(db: Orm, account_id: int) -> Account | None:
    return db.get(Account, account_id)


def by_name(db: Orm, name: str) -> Account | None:
    return db.exec(select(Account).where(Account.name == name)).first()


def every(db: Orm) -> list[Account]:
    return list(db.exec(select(Account).order_by(Account.name)))


def forget_windows(db: Orm, account_id: int) -> None:
    """Drop the newest readings: they are another login's. The samples stay, as history."""
    db.connection().execute(delete(QuotaReading).where(col(QuotaReading.account_id) == account_id))


def remove(db: Orm, account: Account) -> None:
    """The account and what was read of it; IntegrityError where agents or work belong to it."""
    for table in (QuotaReading, QuotaSample, QuotaEnd, OutsideMinute, LogFile, LoggedName):
        db.connection().execute(delete(table).where(col(table.account_id) == account.id))
    db.connection().execute(delete(LoggedCall).where(col(LoggedCall.account_id) == account.id))
    db.delete(account)
    db.flush()
