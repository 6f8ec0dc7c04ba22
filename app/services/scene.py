"""What belongs together: a session with its task, agent, account and repository; a merge request
with its repository and clones. Foreign keys guarantee that each part is there."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlmodel import Session as Orm

from app.git.clones import Clones
from app.git.snapshots import Worktree
from app.models import Account, Agent, MergeRequest, Repository, Session, Task
from app.services.context import Context
from app.services.repositories import clones_of
from app.store import accounts, agents, merge_requests, repositories, sessions, tasks

T = TypeVar("T")


@dataclass(frozen=True)
class SessionScene:
    """One session and everything it stands on."""

    session: Session
    task: Task
    agent: Agent
    account: Account
    repository: Repository
    clones: Clones


@dataclass(frozen=True)
class RequestScene:
    """One merge request and where it would land."""

    request: MergeRequest
    repository: Repository
    clones: Clones


def session_scene(ctx: Context, db: Orm, session_id: str) -> SessionScene:
    session = _known(sessions.get(db, session_id))
    task = _known(tasks.get(db, session.task_id))
    repository = _known(repositories.get(db, task.repository_id))
    return SessionScene(
        session=session,
        task=task,
        agent=_known(agents.get(db, session.agent_id)),
        account=_known(accounts.get(db, session.account_id)),
        repository=repository,
        clones=clones_of(ctx, repository),
    )


def worktree_of(scene: SessionScene) -> Worktree:
    """The session's worktree as git knows it."""
    session = scene.session
    path = Path(session.worktree)
    return Worktree(scene.agent.name, session.branch, session.base_sha, path)


def request_scene(ctx: Context, request_id: int) -> RequestScene:
    with ctx.db.read() as db:
        request = _known(merge_requests.get(db, request_id))
        repository = _known(repositories.get(db, request.repository_id))
    return RequestScene(request, repository, clones_of(ctx, repository))


def _known(row: T | None) -> T:
    if row is None:
        raise LookupError("a row that a foreign key names is missing")
    return row
