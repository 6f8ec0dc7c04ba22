"""Queries for those who look at the merge queue: what landed last, how long checks take."""

from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Check, Landing


def landed(db: Orm, limit: int) -> list[Landing]:
    """The last ones, newest first."""
    wanted = select(Landing).where(Landing.state == "done")
    return list(db.exec(wanted.order_by(col(Landing.id).desc()).limit(limit)))


def check_seconds(db: Orm, repository_id: int, command: str, limit: int = 20) -> list[float]:
    """How long the last runs of this command took that passed."""
    wanted = select(Check.started_at, Check.ended_at).where(
        Check.repository_id == repository_id,
        Check.command == command,
        Check.state == "passed",
        col(Check.same_as_id).is_(None),
    )
    rows = db.exec(wanted.order_by(col(Check.id).desc()).limit(limit))
    return [
        (ended_at - started_at).total_seconds()
        for started_at, ended_at in rows
        if started_at and ended_at
    ]
