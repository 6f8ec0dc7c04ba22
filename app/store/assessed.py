"""Queries that assessing and ranking merge requests need, a few for all of them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Agent, MergeRequest, Session, Task, UsageMinute
from app.store.merge_requests import OPEN_STATES
from app.store.usage import Tokens, sums


class Dependent(NamedTuple):
    """A task that must wait for others."""

    id: int
    title: str
    state: str
    after: list[int]
    deadline_at: datetime | None


def merged_sizes(db: Orm, repository_id: int, limit: int = 200) -> list[dict[str, Any]]:
    """The sizes by kind of what was merged last in a repository, newest first."""
    wanted = select(MergeRequest.sizes).where(
        MergeRequest.repository_id == repository_id,
        MergeRequest.state == "merged",
        col(MergeRequest.care) != "",
    )
    newest = wanted.order_by(col(MergeRequest.id).desc()).limit(limit)
    return [dict(sizes) for sizes in db.exec(newest)]


def authors(db: Orm, request: MergeRequest) -> frozenset[str]:
    """The names of all agents that worked on its task; none where no agent made it."""
    if request.session_id is None:
        return frozenset()
    wanted = select(Agent.name).join(Session, col(Session.agent_id) == col(Agent.id))
    return frozenset(db.exec(wanted.where(Session.task_id == request.task_id)))


def tasks_of(db: Orm, task_ids: Iterable[int]) -> dict[int, Task]:
    wanted = select(Task).where(col(Task.id).in_(set(task_ids)))
    return {task.id or 0: task for task in db.exec(wanted)}


def dependents(db: Orm) -> list[Dependent]:
    """The open tasks that wait for others, in the human's order; without their words."""
    fields = [getattr(Task, name) for name in Dependent._fields]
    wanted = select(*fields).where(col(Task.state).in_(("queued", "parked", "draft")))
    rows = (Dependent(*row) for row in db.exec(wanted.order_by(col(Task.position))))
    return [row for row in rows if row.after]


def after_of_open(db: Orm) -> dict[int, list[int]]:
    """Which merge requests each open one that waits for others has to land after, by its id."""
    wanted = select(MergeRequest.id, MergeRequest.after)
    is_open = col(MergeRequest.state).in_(OPEN_STATES)
    rows = db.exec(wanted.where(is_open).order_by(col(MergeRequest.id)))
    return {number or 0: list(after) for number, after in rows if after}


def used_by_task(db: Orm, task_ids: Iterable[int]) -> dict[int, list[Tokens]]:
    """What all sessions of each task used so far, by model."""
    keys = (col(Session.task_id), col(UsageMinute.model))
    wanted = select(*keys, *sums()).join(Session, col(Session.id) == col(UsageMinute.session_id))
    wanted = wanted.where(col(Session.task_id).in_(set(task_ids))).group_by(*keys)
    found: dict[int, list[Tokens]] = {}
    for task_id, model, *counters in db.connection().execute(wanted):
        found.setdefault(task_id, []).append(Tokens(model, *counters))
    return found
