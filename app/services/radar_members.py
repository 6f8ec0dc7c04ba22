"""Who is on the radar: every base with the open merge requests and running sessions against it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session as Orm

from app.git.clones import Clones
from app.git.gate import base_sha
from app.git.matrix import trees
from app.git.merging import commit_tree
from app.git.repositories import QUARTERDECK
from app.models import MergeRequest, Repository, Session, Task
from app.services import observe
from app.services.context import Context
from app.services.repositories import clones_of
from app.store import agents, merge_requests, radar, repositories, sessions, tasks

BASE = "base"
_WHEN = datetime(2000, 1, 1, tzinfo=UTC)  # the same work is the same commit


@dataclass(frozen=True)
class Member:
    """One line of the matrix: a commit, and whose it is."""

    key: str
    sha: str
    agent: str
    title: str
    branch: str
    merge_request_id: int | None = None
    session_id: str | None = None

    @property
    def label(self) -> str:
        """What a sentence calls it."""
        if self.key == BASE:
            return self.branch
        who = self.agent or "somebody"
        return f"{who} (#{self.merge_request_id})" if self.merge_request_id else who

    def is_same_work(self, other: "Member") -> bool:
        """A session's branch as offered, and as it goes on: no two that could collide."""
        return self.branch == other.branch and BASE not in (self.key, other.key)


@dataclass(frozen=True)
class Field:
    """One base and what is written against it."""

    repository: Repository
    base_branch: str
    clones: Clones
    requests: list[MergeRequest]
    live: list[tuple[Session, Task]]
    names: dict[int | None, str]


def fields(ctx: Context) -> list[Field]:
    """Every base that anything is, was or will be written against."""
    with ctx.db.read() as db:
        opened = merge_requests.open_ones(db)
        live = list(_live(db))
        known = radar.bases(db)
        rows = repositories.every(db)
        names = {agent.id: agent.name for agent in agents.every(db)}
    known |= {(row.repository_id, row.base_branch) for row in opened}
    known |= {(task.repository_id, task.base_branch) for _, task in live}
    known |= {(row.id or 0, row.base_branch) for row in rows}
    by_id = {row.id: row for row in rows}
    return [
        Field(
            repository=by_id[repository_id],
            base_branch=base,
            clones=clones_of(ctx, by_id[repository_id]),
            requests=[r for r in opened if (r.repository_id, r.base_branch) == key],
            live=[(s, t) for s, t in live if (t.repository_id, t.base_branch) == key],
            names=names,
        )
        for key in sorted(known)
        if (repository_id := key[0]) in by_id and (base := key[1])
    ]


def _live(db: Orm) -> Iterator[tuple[Session, Task]]:
    for session in sessions.live(db):
        task = tasks.get(db, session.task_id)
        if task is not None and session.worktree:
            yield session, task


class Roster:
    """The members of one field, as commits; what git said of them is asked once."""

    def __init__(self) -> None:
        self._trees: dict[str, str] = {}
        self._commits: dict[observe.Work, str] = {}

    def members(self, field: Field) -> list[Member]:
        """The base first, then the requests, then the sessions; BranchVanished without a base.

        A request whose commit is gone is none: nothing can be said of it.
        """
        base = base_sha(field.clones, field.base_branch)
        seen = observe.works()
        live = [(s, t, seen[s.id]) for s, t in field.live if s.id in seen]
        self._learn(field, [base, *(r.head_sha for r in field.requests)], live)
        requests = [_of_request(field, r) for r in field.requests if r.head_sha in self._trees]
        offered = {(member.branch, self._trees[member.sha]) for member in requests}
        working = [
            _of_session(field, session, task, self._commits[work])
            for session, task, work in live
            if work in self._commits and (session.branch, work.tree_sha) not in offered
        ]
        return [Member(BASE, base, "", field.base_branch, field.base_branch), *requests, *working]

    def _learn(
        self, field: Field, shas: list[str], live: list[tuple[Session, Task, observe.Work]]
    ) -> None:
        """The trees of all commits; a commit for each tree of a session that none holds."""
        heads = {sha for _, _, work in live for sha in (work.head_sha, work.merges_sha) if sha}
        wanted = {*shas, *heads}
        new = trees(field.clones, wanted - self._trees.keys())
        self._trees = {sha: tree for sha, tree in self._trees.items() if sha in wanted} | new
        self._commits = {
            work: self._commits.get(work) or self._as_commit(field.clones, work)
            for _, _, work in live
            if work.head_sha in self._trees
        }

    def _as_commit(self, clones: Clones, work: observe.Work) -> str:
        if self._trees[work.head_sha] == work.tree_sha:
            return work.head_sha
        parents = [sha for sha in (work.head_sha, work.merges_sha) if sha in self._trees]
        return commit_tree(clones, work.tree_sha, parents, "So far", QUARTERDECK, _WHEN)


def _of_request(field: Field, request: MergeRequest) -> Member:
    return Member(
        key=str(request.id),
        sha=request.head_sha,
        agent=field.names.get(request.agent_id, ""),
        title=request.title,
        branch=request.branch,
        merge_request_id=request.id,
        session_id=request.session_id,
    )


def _of_session(field: Field, session: Session, task: Task, sha: str) -> Member:
    return Member(
        key=session.id,
        sha=sha,
        agent=field.names.get(session.agent_id, ""),
        title=task.title,
        branch=session.branch,
        session_id=session.id,
    )
