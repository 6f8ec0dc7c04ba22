"""The backlog and what is needed to add to it."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.models import MergeRequest, Repository, Task
from app.services.agents import model_of
from app.services.context import Context
from app.store import tasks
from app.web import format as fmt
from app.web.contexts.snapshot import Snapshot

STARTABLE = ("draft", "failed", "parked")
STOPPABLE = ("queued", "running")


@dataclass(frozen=True)
class TaskRow:
    task: Task
    agent: str  # who has it, or who is wanted
    repository: str
    request: MergeRequest | None
    above: int | None  # id to move before, when moving up
    below: int | None  # id to move before, when moving down; None = the end
    terms: list[str]  # what it asks for, a few words each


@dataclass(frozen=True)
class Tasks:
    rows: list[TaskRow]
    closed: list[TaskRow]
    repositories: list[Repository]
    agents: list[tuple[str, str]]  # name and model of the enabled ones
    accounts: list[str]
    labels: list[str]


def listing(ctx: Context, snap: Snapshot) -> Tasks:
    with ctx.db.read() as db:
        closed = tasks.closed(db)
        labels = tasks.labels(db)
    order = list(snap.tasks.values())
    return Tasks(
        rows=[_row(snap, task, order, at) for at, task in enumerate(order)],
        closed=[_row(snap, task, [], 0) for task in closed],
        repositories=snap.repositories,
        agents=[(agent.name, model_of(agent)) for agent in snap.agents if agent.is_enabled],
        accounts=[account.name for account in snap.accounts.values()],
        labels=labels,
    )


def _row(snap: Snapshot, task: Task, order: list[Task], at: int) -> TaskRow:
    slugs = {repository.id: repository.slug for repository in snap.repositories}
    requests = [row for row in snap.merge_requests if row.task_id == task.id]
    return TaskRow(
        task=task,
        agent=snap.agent_name(task.agent_id or task.wanted_agent_id),
        repository=slugs.get(task.repository_id, ""),
        request=requests[-1] if requests else None,
        above=order[at - 1].id if order and at > 0 else None,
        below=order[at + 2].id if at + 2 < len(order) else None,
        terms=list(_terms(snap, task)),
    )


def _terms(snap: Snapshot, task: Task) -> Iterator[str]:
    if task.priority:
        named = {5: "high", -5: "low"}.get(task.priority, str(task.priority))
        yield f"priority {named}"
    if task.deadline_at is not None:
        yield f"due {fmt.until(task.deadline_at, snap.now)}"
    open_ones = [str(other) for other in task.after if other in snap.tasks]
    if open_ones:
        yield f"after task {', '.join(open_ones)}"
    if task.is_deferrable:
        yield "filler"
    if account := snap.accounts.get(task.wanted_account_id or 0):
        yield f"on {account.name}"
    if task.models:
        yield f"with {' or '.join(task.models)}"
    if task.may_overflow:
        yield "may be paid by use"
    if task.label:
        yield f"kind: {task.label}"
    if task.care:
        yield f"review: at least {task.care}"
