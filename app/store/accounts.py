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
    Session,
    Task,
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


def turned_away(db: Orm) -> list[Session]:
    """Sessions of tasks that are not over whose login or key was refused last."""
    rows = select(Session).join(Task, col(Task.id) == Session.task_id)
    stuck = col(Task.state).in_(("running", "failed", "parked"))
    return list(db.exec(rows.where(Session.error == "auth", Session.state != "ended", stuck)))


def wishes(db: Orm) -> set[tuple[int | None, int | None]]:
    """The wanted (account, agent) of tasks that wait for an agent, or for a lost login."""
    stuck = (col(Task.state) == "parked") & col(Task.parked_until).is_(None)
    wanted = select(Task.wanted_account_id, Task.wanted_agent_id).distinct()
    return set(db.exec(wanted.where((col(Task.state) == "queued") | stuck)))
