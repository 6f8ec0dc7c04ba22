"""Queries on what goes to remotes."""

from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Push

_OPEN = ("queued", "running")


def waiting(db: Orm) -> list[Push]:
    """Not at the remote yet, oldest first."""
    wanted = select(Push).where(col(Push.state).in_(_OPEN))
    return list(db.exec(wanted.order_by(col(Push.id))))


def newest(db: Orm, merge_request_id: int) -> Push | None:
    """The newest push of a merge request's branch."""
    wanted = select(Push).where(Push.merge_request_id == merge_request_id)
    return db.exec(wanted.order_by(col(Push.id).desc()).limit(1)).first()


def queued_base(db: Orm, repository_id: int, ref: str) -> Push | None:
    """A push of this base that has not begun."""
    wanted = select(Push).where(
        Push.repository_id == repository_id,
        Push.ref == ref,
        Push.state == "queued",
        col(Push.merge_request_id).is_(None),
    )
    return db.exec(wanted.order_by(col(Push.id).desc()).limit(1)).first()
