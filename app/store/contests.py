"""Queries on contests and on the tasks that compete in them."""

from collections.abc import Collection

from sqlalchemy import update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Contest, MergeRequest, Task
from app.models.base import utc_now


def get(db: Orm, contest_id: int) -> Contest | None:
    return db.get(Contest, contest_id)


def newest(db: Orm, limit: int = 50) -> list[Contest]:
    """Open ones first, then by age, newest first."""
    order = (col(Contest.state) != "open", col(Contest.id).desc())
    return list(db.exec(select(Contest).order_by(*order).limit(limit)))


def contenders(db: Orm, contest_ids: Collection[int]) -> dict[int, list[Task]]:
    """The tasks of these contests, in the order they were given, by contest id."""
    found: dict[int, list[Task]] = {contest_id: [] for contest_id in contest_ids}
    wanted = select(Task).where(col(Task.contest_id).in_(contest_ids))
    for task in db.exec(wanted.order_by(col(Task.id))):
        found[task.contest_id or 0].append(task)
    return found


def requests(db: Orm, task_ids: Collection[int]) -> dict[int, MergeRequest]:
    """The newest merge request of each of these tasks, by task id."""
    wanted = select(MergeRequest).where(col(MergeRequest.task_id).in_(task_ids))
    return {row.task_id or 0: row for row in db.exec(wanted.order_by(col(MergeRequest.id)))}


def unsettled(db: Orm, open_states: Collection[str]) -> set[int]:
    """Open contests, and decided ones of which another than the winner is still open."""
    wanted = select(Contest.id).join(Task, col(Task.contest_id) == col(Contest.id))
    wanted = wanted.join(MergeRequest, col(MergeRequest.task_id) == col(Task.id), isouter=True)
    loser = col(MergeRequest.id).is_distinct_from(col(Contest.winner_id))
    is_left = (col(MergeRequest.state).in_(open_states)) & loser
    wanted = wanted.where((col(Contest.state) == "open") | is_left)
    return {contest_id or 0 for contest_id in db.exec(wanted)}


def close(db: Orm, contest_id: int, now: str, reason: str, winner_id: int | None = None) -> bool:
    """Compare and swap from open; False where it was decided already."""
    statement = (
        update(Contest)
        .where(col(Contest.id) == contest_id, col(Contest.state) == "open")
        .values(state=now, reason=reason, winner_id=winner_id, decided_at=utc_now())
    )
    return bool(db.connection().execute(statement).rowcount == 1)


def reopen(db: Orm, contest_id: int) -> None:
    changes = {"state": "open", "reason": "", "winner_id": None, "decided_at": None}
    statement = update(Contest).where(col(Contest.id) == contest_id).values(**changes)
    db.connection().execute(statement)
