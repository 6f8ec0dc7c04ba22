"""Queries on the agents' clocks, their minutes, and what they are read from."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.orm import load_only
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import AgentClock, AgentMinute, LadderMinute, QuotaSample, Session, Task
from app.models.quota import SAMPLE_SECONDS
from app.store.sessions import LIVE_STATES
from app.store.upsert import upsert

Minute = tuple[int, int, str, int]  # agent id, unix time // 60, state, milliseconds
_SESSION_COLUMNS: Any = (
    Session.id, Session.agent_id, Session.task_id, Session.account_id, Session.state,
    Session.activity, Session.wants_start, Session.created_at,
)  # fmt: skip
_TASK_COLUMNS: Any = (Task.id, Task.state, Task.state_reason)


def every(db: Orm) -> dict[int, AgentClock]:
    """All clocks, by agent id."""
    return {clock.agent_id: clock for clock in db.exec(select(AgentClock))}


def of_agent(db: Orm, agent_id: int) -> AgentClock | None:
    return db.get(AgentClock, agent_id)


def of_agents(db: Orm, agent_ids: Collection[int]) -> list[AgentClock]:
    """In one query; while the list is held `of_agent` asks the database for none of them."""
    return list(db.exec(select(AgentClock).where(col(AgentClock.agent_id).in_(agent_ids))))


def add(db: Orm, spent: Mapping[tuple[int, int, str], int]) -> None:
    """Add milliseconds, by agent id, minute and state, to what is there."""
    rows = [
        {"agent_id": agent_id, "minute": minute, "state": state, "milliseconds": milliseconds}
        for (agent_id, minute, state), milliseconds in spent.items()
    ]
    upsert(db, AgentMinute, ("agent_id", "minute", "state"), rows, add=True)


def sums(db: Orm, first: int, end: int) -> list[tuple[int, str, int]]:
    """Milliseconds by agent id and state over the minutes from `first` to before `end`."""
    keys = (col(AgentMinute.agent_id), col(AgentMinute.state))
    wanted = select(*keys, func.sum(col(AgentMinute.milliseconds)))
    minute = col(AgentMinute.minute)
    rows = db.exec(wanted.where(minute >= first, minute < end).group_by(*keys))
    return [(agent_id, state, int(total)) for agent_id, state, total in rows]


def minutes(db: Orm, first: int, end: int, agent_id: int | None = None) -> list[Minute]:
    """What is stored of the minutes from `first` to before `end`."""
    minute = col(AgentMinute.minute)
    wanted = select(
        AgentMinute.agent_id, AgentMinute.minute, AgentMinute.state, AgentMinute.milliseconds
    ).where(minute >= first, minute < end)
    if agent_id is not None:
        wanted = wanted.where(AgentMinute.agent_id == agent_id)
    return [(row[0], row[1], row[2], row[3]) for row in db.exec(wanted)]


def forget(db: Orm, agent_id: int, first: int) -> None:
    """Remove an agent's minutes from `first` on."""
    gone = delete(AgentMinute).where(col(AgentMinute.agent_id) == agent_id)
    db.connection().execute(gone.where(col(AgentMinute.minute) >= first))


def current_sessions(db: Orm) -> dict[int, Session]:
    """Each agent's session that matters now, by agent id: live, about to start, or the newest.

    Only what a state is made of is loaded.
    """
    newest = select(col(Session.agent_id), func.max(Session.created_at).label("at"))
    last = newest.group_by(col(Session.agent_id)).subquery()
    matters = col(Session.state).in_(LIVE_STATES) | col(Session.wants_start)
    rows = (
        select(Session)
        .join(last, col(Session.agent_id) == last.c.agent_id)
        .where(matters | (col(Session.created_at) == last.c.at))
        .options(load_only(*_SESSION_COLUMNS))
    )
    chosen: dict[int, Session] = {}
    for session in sorted(db.exec(rows), key=_rank):
        chosen[session.agent_id] = session
    return chosen


def tasks_of(db: Orm, task_ids: Sequence[int]) -> dict[int, Task]:
    """These tasks by id, with no more than their state."""
    wanted = select(Task).where(col(Task.id).in_(set(task_ids)))
    rows = db.exec(wanted.options(load_only(*_TASK_COLUMNS)))
    return {task.id or 0: task for task in rows}


def prune(db: Orm, before_minute: int) -> None:
    """Forget minutes, rungs and quota samples from before a minute, and that they ever were."""
    connection = db.connection()
    connection.execute(delete(AgentMinute).where(col(AgentMinute.minute) < before_minute))
    connection.execute(delete(LadderMinute).where(col(LadderMinute.minute) < before_minute))
    slot = before_minute * 60 // SAMPLE_SECONDS
    connection.execute(delete(QuotaSample).where(col(QuotaSample.slot) < slot))
    start = before_minute * 60_000
    for name in ("born_ms", "since_ms"):
        field = getattr(AgentClock, name)
        late = update(AgentClock).where(col(field) < start)
        connection.execute(late.values({name: start}))


def _rank(session: Session) -> tuple[int, float]:
    """Which of an agent's sessions is the current one: the last in this order."""
    live = ("running", "starting")
    order = 2 if session.state in live else int(session.wants_start)
    return order, session.created_at.timestamp()
