"""Queries on tasks and the backlog's order."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Agent, Message, Session, Task

OPEN_STATES = ("draft", "queued", "running", "parked", "review", "failed")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the dispatcher asks of a queued task; its prompt stays where it is."""

    id: int
    priority: int
    position: float
    deadline_at: datetime | None
    is_deferrable: bool
    after: list[int]
    models: list[str]
    may_overflow: bool
    wanted_account_id: int | None
    wanted_agent_id: int | None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """The session that a queued task goes on with."""

    session_id: str
    agent_id: int


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


def waiting(db: Orm) -> list[Waiting]:
    """The queued tasks by position, without their words: there may be hundreds."""
    fields = [getattr(Task, name) for name in Waiting.__slots__]
    wanted = select(*fields).where(Task.state == "queued")
    return [Waiting(*row) for row in db.exec(wanted.order_by(col(Task.position), col(Task.id)))]


def begun(db: Orm) -> dict[int, Begun]:
    """The newest session that is not over of every queued task that has one."""
    rows = select(Session.task_id, Session.id, Session.agent_id).join(Task)
    rows = rows.where(Session.state != "ended", Task.state == "queued")
    found = db.exec(rows.order_by(col(Session.created_at)))
    return {task_id: Begun(session_id, agent_id) for task_id, session_id, agent_id in found}


def due(db: Orm, now: datetime) -> list[tuple[Task, int | None]]:
    """Parked tasks whose time has come, with their agent's account; by position."""
    rows = select(Task, Agent.account_id).outerjoin(Agent, col(Agent.id) == Task.agent_id)
    rows = rows.where(Task.state == "parked", col(Task.parked_until) <= now)
    return list(db.exec(rows.order_by(col(Task.position), col(Task.id))).all())


def spoken_to(db: Orm, states: Iterable[str]) -> list[Task]:
    """Tasks in these states with a message for a session of theirs that nothing will start."""
    rows = select(Session.task_id).join(Message, col(Message.session_id) == Session.id)
    heard = rows.where(
        Message.state == "queued",
        col(Session.state).in_(("stopped", "crashed")),
        col(Session.wants_start).is_(False),
    )
    wanted = select(Task).where(col(Task.id).in_(heard), col(Task.state).in_(list(states)))
    return list(db.exec(wanted.order_by(col(Task.id))))


def parked(db: Orm) -> list[datetime | None]:
    """When each parked task may go on, soonest first; None: when its account says so."""
    times = db.exec(select(Task.parked_until).where(Task.state == "parked")).all()
    return sorted(times, key=lambda at: (at is None, at.timestamp() if at else 0.0))


def wishes(db: Orm) -> set[tuple[int | None, int | None]]:
    """The wanted (account, agent) of tasks that wait for an agent, or for a lost login."""
    stuck = (col(Task.state) == "parked") & col(Task.parked_until).is_(None)
    wanted = select(Task.wanted_account_id, Task.wanted_agent_id).distinct()
    return set(db.exec(wanted.where((col(Task.state) == "queued") | stuck)))


def states(db: Orm, task_ids: Iterable[int]) -> dict[int, str]:
    """The states of these tasks, by id."""
    wanted = select(col(Task.id), col(Task.state)).where(col(Task.id).in_(set(task_ids)))
    return {task_id or 0: state for task_id, state in db.exec(wanted)}


def labels(db: Orm) -> list[str]:
    """Every kind of work that a task was called, by the alphabet."""
    wanted = select(Task.label).where(Task.label != "").distinct()
    return sorted(db.exec(wanted))


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
