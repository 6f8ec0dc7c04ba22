"""Queries on agents."""

from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Agent, Task

BUSY_STATES = ("running", "parked")


def get(db: Orm, agent_id: int) -> Agent | None:
    return db.get(Agent, agent_id)


def by_name(db: Orm, name: str) -> Agent | None:
    return db.exec(select(Agent).where(Agent.name == name)).first()


def every(db: Orm) -> list[Agent]:
    return list(db.exec(select(Agent).order_by(col(Agent.id))))


def free(db: Orm) -> list[Agent]:
    """Enabled agents that carry no running or parked task, oldest first."""
    busy = select(Task.agent_id).where(
        col(Task.state).in_(BUSY_STATES), col(Task.agent_id).is_not(None)
    )
    wanted = select(Agent).where(col(Agent.is_enabled), col(Agent.id).not_in(busy))
    return list(db.exec(wanted.order_by(col(Agent.id))))
