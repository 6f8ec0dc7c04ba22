"""Queries on batches: the merge queue's trains, and unions by their id."""

from collections.abc import Sequence

from sqlalchemy import update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Batch, Check, Landing

OPEN_STATES = ("building", "checking", "landing")


def get(db: Orm, batch_id: int) -> Batch | None:
    return db.get(Batch, batch_id)


def add(db: Orm, batch: Batch) -> Batch:
    """Its id is set afterwards."""
    db.add(batch)
    db.flush()
    return batch


def open_trains(db: Orm) -> list[Batch]:
    """Those on their way to a base, oldest first: at most one for each repository and base."""
    wanted = select(Batch).where(Batch.kind == "train", col(Batch.state).in_(OPEN_STATES))
    return list(db.exec(wanted.order_by(col(Batch.id))))


def open_train(db: Orm, repository_id: int, base_branch: str) -> Batch | None:
    """The one on its way to this base."""
    line = (repository_id, base_branch)
    return next((b for b in open_trains(db) if (b.repository_id, b.base_branch) == line), None)


def of_queue(db: Orm, limit: int = 50) -> list[Batch]:
    """Trains, newest first."""
    wanted = select(Batch).where(Batch.kind == "train")
    return list(db.exec(wanted.order_by(col(Batch.id).desc()).limit(limit)))


def change_state(db: Orm, batch_id: int, was: Sequence[str], now: str, **more: object) -> bool:
    """Compare and swap; False where it was in none of the states `was`."""
    statement = (
        update(Batch)
        .where(col(Batch.id) == batch_id, col(Batch.state).in_(was))
        .values(state=now, **more)
    )
    return bool(db.connection().execute(statement).rowcount == 1)


def check_of(db: Orm, batch_id: int, tree_sha: str) -> Check | None:
    """The newest check that the batch asked for on this tree."""
    wanted = select(Check).where(Check.batch_id == batch_id, Check.tree_sha == tree_sha)
    return db.exec(wanted.order_by(col(Check.id).desc()).limit(1)).first()


def check_at(db: Orm, batch_id: int, head_sha: str) -> Check | None:
    """The newest check that the batch asked for on this commit."""
    wanted = select(Check).where(Check.batch_id == batch_id, Check.head_sha == head_sha)
    return db.exec(wanted.order_by(col(Check.id).desc()).limit(1)).first()


def runs_started(db: Orm) -> list[Check]:
    """Every check whose command was started, whatever came of it; not those that took another's."""
    ran = col(Check.started_at).is_not(None) & col(Check.same_as_id).is_(None)
    return list(db.exec(select(Check).where(ran).order_by(col(Check.id))))


def landings(db: Orm, batch_id: int) -> list[Landing]:
    """What the train wrote down of its members, in order."""
    wanted = select(Landing).where(Landing.batch_id == batch_id)
    return list(db.exec(wanted.order_by(col(Landing.id))))
