"""Queries on repositories."""

from sqlmodel import Session as Orm
from sqlmodel import select

from app.models import Repository


def get(db: Orm, repository_id: int) -> Repository | None:
    return db.get(Repository, repository_id)


def by_path(db: Orm, path: str) -> Repository | None:
    return db.exec(select(Repository).where(Repository.path == path)).first()


def every(db: Orm) -> list[Repository]:
    return list(db.exec(select(Repository).order_by(Repository.slug)))
