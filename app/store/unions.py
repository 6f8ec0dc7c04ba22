"""Queries on unions: merge requests that are looked at and decided together."""

from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Batch

LIVE = ("building", "ready")


def get(db: Orm, batch_id: int) -> Batch | None:
    """None where that batch is no union."""
    batch = db.get(Batch, batch_id)
    return batch if batch is not None and batch.kind == "union" else None


def newest(db: Orm, limit: int = 50) -> list[Batch]:
    """Newest first."""
    wanted = select(Batch).where(Batch.kind == "union").order_by(col(Batch.id).desc())
    return list(db.exec(wanted.limit(limit)))


def live(db: Orm) -> list[Batch]:
    """Those that are built, or still good to look at, oldest first."""
    wanted = select(Batch).where(Batch.kind == "union", col(Batch.state).in_(LIVE))
    return list(db.exec(wanted.order_by(col(Batch.id))))
