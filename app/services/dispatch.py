"""Who does what next: waiting tasks meet free agents, in the human's order.

Nothing is launched here. A session that should run is marked `wants_start`; the supervisor
launches them one after the other.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session as Orm

from app.models import Agent, Session, Task
from app.models.base import utc_now
from app.services.context import Context
from app.store import accounts, agents, sessions, tasks


@dataclass(frozen=True)
class Placement:
    """One decision of the dispatcher: this agent takes this task."""

    task_id: int
    agent_id: int


def unpark(ctx: Context) -> int:
    """Parked tasks whose window has returned go back to the queue, once; returns how many."""
    now = utc_now()
    with ctx.db.write() as db:
        due = [
            task
            for task in tasks.in_state(db, "parked")
            if task.parked_until is not None and task.parked_until <= now
        ]
        for task in due:
            task.state, task.state_reason, task.parked_until = "queued", "", None
            db.add(task)
    if due:
        ctx.publish("tasks", "fleet")
    return len(due)


def dispatch(ctx: Context) -> list[str]:
    """Mark the sessions that should start now; returns their ids."""
    with ctx.db.write() as db:
        _requeue_spoken_to(db)
        room = ctx.settings.max_sessions - len(sessions.occupying(db))
        started = []
        for placement in plan(db, utc_now())[: max(0, room)]:
            if tasks.claim(db, placement.task_id, placement.agent_id):
                started.append(_session_for(db, placement).id)
    if started:
        ctx.publish("tasks", "fleet")
    return started


def plan(db: Orm, now: datetime) -> list[Placement]:
    """Queued tasks in order, each with its wanted agent, its last one, or the first free one."""
    free = {agent.id: agent for agent in agents.free(db) if not _is_limited(db, agent, now)}
    placements = []
    for task in tasks.in_state(db, "queued"):
        agent = _choose(db, task, free)
        if agent is not None:
            free.pop(agent.id)
            placements.append(Placement(task.id or 0, agent.id or 0))
    return placements


def _choose(db: Orm, task: Task, free: dict[int | None, Agent]) -> Agent | None:
    if task.wanted_agent_id is not None:
        return free.get(task.wanted_agent_id)
    begun = sessions.resumable(db, task.id or 0)
    if begun is not None:  # the conversation and the branch are that agent's
        return free.get(begun.agent_id)
    return next(iter(free.values()), None)


def _is_limited(db: Orm, agent: Agent, now: datetime) -> bool:
    account = accounts.get(db, agent.account_id)
    return account is not None and account.limited_until is not None and account.limited_until > now


def _session_for(db: Orm, placement: Placement) -> Session:
    """The task's resumable session with this agent, or a new one; marked to start."""
    task, agent = db.get_one(Task, placement.task_id), db.get_one(Agent, placement.agent_id)
    session = sessions.resumable(db, placement.task_id)
    if session is None or session.agent_id != agent.id:
        session = Session(
            id=f"s-{uuid.uuid4().hex[:12]}",
            agent_id=agent.id or 0,
            task_id=task.id or 0,
            account_id=agent.account_id,
            driver=agent.driver,
            model=agent.model,
        )
    session.account_id = agent.account_id
    session.wants_start, session.wants_stop = True, False
    db.add(session)
    for rival in sessions.rivals(db, session):  # one worktree, one session at a time
        rival.wants_stop = True
        db.add(rival)
    task.started_at = task.started_at or utc_now()
    db.add(task)
    return session


def _requeue_spoken_to(db: Orm) -> None:
    """A message to a session without a runner puts its task back into the queue."""
    for message in sessions.queued_messages(db):
        session = sessions.get(db, message.session_id)
        if session is None or session.state not in ("stopped", "crashed") or session.wants_start:
            continue
        task = tasks.get(db, session.task_id)
        if task is not None and task.state in ("review", "failed", "running", "draft"):
            task.state, task.state_reason = "queued", ""
            db.add(task)
    db.flush()
