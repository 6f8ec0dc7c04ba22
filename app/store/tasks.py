"""Queries on tasks and the backlog's order."""

from sqlalchemy import func, update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Task

OPEN_STATES = ("draft", "queued", "running", "parked", "review", "failed")


def get(db: Orm, task_id: int) -> Task | None:
    return db.get(Task, task_id)


def backlog(db: Orm) -> list[Task]:
    """Open tasks in the human's order."""
    wanted = select(Task).where(col(Task.state).in_(OPEN_STATES))
    return list(db.exec(wanted.order_by(col(Task.position), col(Task.id))))


def closed(db: Orm, limit: int = 50) -> list[Task]:
    """Tasks that are over, newest first."""
    wanted = select(Task).where(col(Task.state).not_in(OPEN_STATES))
    return list(db.exec(wanted.order_by(col(Task.id).desc()).limit(limit)))


def in_state(db: Orm, state: str) -> list[Task]:
    wanted = select(Task).where(Task.state == state)
    return list(db.exec(wanted.order_by(col(Task.position), col(Task.id))))


def last_position(db: Orm) -> float:
    return db.exec(select(func.max(Task.position))).one() or 0.0


def claim(db: Orm, task_id: int, agent_id: int) -> bool:
    """Queued to running, for this agent; False where someone else was first."""
    statement = (
        update(Task)
        .where(col(Task.id) == task_id, col(Task.state) == "queued")
        .values(state="running", agent_id=agent_id, state_reason="")
    )
    return bool(db.connection().execute(statement).rowcount == 1)
