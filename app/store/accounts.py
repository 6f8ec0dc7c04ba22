"""Queries on accounts."""

from sqlmodel import Session as Orm
from sqlmodel import select

from app.models import Account


def get(db: Orm, account_id: int) -> Account | None:
    return db.get(Account, account_id)


def by_name(db: Orm, name: str) -> Account | None:
    return db.exec(select(Account).where(Account.name == name)).first()


def every(db: Orm) -> list[Account]:
    return list(db.exec(select(Account).order_by(Account.name)))
