"""Merge requests as the human judges them: ranked, and one of them in full."""

from collections import defaultdict
from dataclasses import dataclass, field

from sqlmodel import Session as Orm

from app.errors import NotFound
from app.models import Agent, Check, Comment, Landing, MergeRequest, Radar, Repository, Task
from app.services import diffs
from app.services.context import Context
from app.services.diffs import StoredDiff
from app.store import agents, merge_requests, radar, repositories, tasks
from app.web.contexts.snapshot import Snapshot

APPROVABLE = ("open", "changes_requested")
DECIDABLE = ("open", "approved", "conflicted", "changes_requested")
FAILING = ("failed", "timeout", "error")


@dataclass(frozen=True)
class ReviewRow:
    request: MergeRequest
    agent: str
    check: Check | None
    conflicts: list[str]  # paths that conflict with the base
    overlaps: list[tuple[int, str, list[str]]]  # (other request, its agent, paths)

    @property
    def is_failing(self) -> bool:
        return self.check is not None and self.check.state in FAILING

    @property
    def can_approve(self) -> bool:
        return self.request.state in APPROVABLE and not self.conflicts

    @property
    def can_land(self) -> bool:
        """Approve it and it lands, as far as is known now."""
        return (
            self.can_approve and self.check is not None and self.check.state in ("passed", "none")
        )


@dataclass(frozen=True)
class Reviews:
    rows: list[ReviewRow]
    closed: list[MergeRequest]
    agents: dict[int, str]

    @property
    def can_land(self) -> int:
        return sum(row.can_land for row in self.rows)

    @property
    def colliding(self) -> int:
        return sum(bool(row.conflicts or row.overlaps) for row in self.rows)


@dataclass(frozen=True)
class Review:
    row: ReviewRow
    repository: Repository
    task: Task | None
    agent: Agent | None
    diff: StoredDiff | None
    comments: list[Comment]
    landing: Landing | None
    reverted_by: MergeRequest | None
    by_line: dict[tuple[str, str, int], list[Comment]] = field(default_factory=dict)

    @property
    def is_decidable(self) -> bool:
        return self.row.request.state in DECIDABLE

    @property
    def unsent(self) -> int:
        return sum(not comment.is_sent for comment in self.comments)


def listing(ctx: Context, snap: Snapshot) -> Reviews:
    with ctx.db.read() as db:
        closed = merge_requests.closed(db, 30)
    names = {agent.id or 0: agent.name for agent in snap.agents}
    every = snap.merge_requests
    rows = [_row(request, snap.checks, every, names, snap.radars) for request in every]
    return Reviews(sorted(rows, key=_rank), closed, names)


def one(ctx: Context, merge_request_id: int) -> Review:
    """Everything about one merge request; NotFound where there is none."""
    with ctx.db.read() as db:
        request = merge_requests.get(db, merge_request_id)
        if request is None:
            raise NotFound(
                f"There is no merge request {merge_request_id}; see the list of reviews."
            )
        review = _read(db, request)
    diff = diffs.stored_diff(ctx, merge_request_id=merge_request_id)
    return Review(**{**vars(review), "diff": diff})


def _read(db: Orm, request: MergeRequest) -> Review:
    names = {agent.id or 0: agent.name for agent in agents.every(db)}
    others = merge_requests.open_ones(db, request.repository_id)
    checks = merge_requests.latest_checks(db, [request.id or 0])
    comments = merge_requests.comments(db, request.id or 0)
    by_line: dict[tuple[str, str, int], list[Comment]] = defaultdict(list)
    for comment in comments:
        if comment.path and comment.line is not None and comment.head_sha == request.head_sha:
            by_line[comment.path, comment.side, comment.line].append(comment)
    repository = repositories.get(db, request.repository_id)
    if repository is None:
        raise NotFound("The repository of this merge request is gone.")
    return Review(
        row=_row(request, checks, others, names, radar.every(db)),
        repository=repository,
        task=tasks.get(db, request.task_id) if request.task_id else None,
        agent=agents.get(db, request.agent_id) if request.agent_id else None,
        diff=None,
        comments=comments,
        landing=merge_requests.landing_of(db, request.id or 0),
        reverted_by=merge_requests.revert_of(db, request.id or 0),
        by_line=dict(by_line),
    )


def _row(
    request: MergeRequest,
    checks: dict[int, Check],
    others: list[MergeRequest],
    names: dict[int, str],
    radars: dict[tuple[int, str], Radar],
) -> ReviewRow:
    found = radar.overlaps(radars.get((request.repository_id, request.base_branch)), request)
    authors = {other.id: names.get(other.agent_id or 0, "") for other in others}
    overlaps = [
        (overlap["merge_request_id"], authors[overlap["merge_request_id"]], overlap["paths"])
        for overlap in found
        if overlap.get("merge_request_id") in authors
    ]
    paths = [str(conflict.get("path", "")) for conflict in request.conflicts]
    check = checks.get(request.id or 0)
    return ReviewRow(request, names.get(request.agent_id or 0, ""), check, paths, overlaps)


def _rank(row: ReviewRow) -> tuple[int, int, int, int]:
    """What can be decided now first; of these the small ones, then the old ones."""
    waits = row.request.state != "open"
    size = row.request.additions + row.request.deletions
    return (waits, row.is_failing or bool(row.conflicts), size, row.request.id or 0)
