"""One merge request in full, as its page shows it: what stays fresh, and the diff that stays."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import Session as Orm

from app.errors import NotFound
from app.models import Agent, Comment, Landing, MergeRequest, Repository, Round, Task
from app.services import deciding, diffs, record, rounds
from app.services.comment_lines import lines_now
from app.services.context import Context
from app.services.deciding import Gate
from app.services.diffs import StoredDiff
from app.store import agents, merge_requests, repositories, sessions, tasks
from app.web.contexts import reviews, snapshot
from app.web.contexts.reviews import RankedRow, ReviewRow
from app.web.contexts.snapshot import Snapshot
from app.web.diffview import Place

DECIDABLE = ("open", "approved", "conflicted", "changes_requested")
ALL, SINCE = "all", "since"


@dataclass(frozen=True)
class Review:
    """What stays fresh while the page is open."""

    row: ReviewRow | RankedRow
    repository: Repository
    task: Task | None
    agent: Agent | None
    comments: list[Comment]
    lines: dict[int, int | None]  # where comments on lines stand now, by id; None: outdated
    landing: Landing | None
    reverted_by: MergeRequest | None
    gate: Gate  # how far the human is with each file, and what is still to see
    record: str  # what is known of its model at such work; "" where it has none
    next_url: str  # where a verdict leads: the next one that can be decided

    @property
    def ranked(self) -> RankedRow | None:
        """Its place in the list, while it has one."""
        return self.row if isinstance(self.row, RankedRow) else None

    @property
    def is_decidable(self) -> bool:
        return self.row.request.state in DECIDABLE

    @property
    def unsent(self) -> int:
        return sum(not comment.is_sent for comment in self.comments)

    @property
    def looked(self) -> str:
        """How far the human is with the files, in words."""
        shown, ticked = self.gate.count("shown"), self.gate.count("ticked")
        words = [f"you saw {shown + ticked} of {len(self.gate.states)} files"]
        if changed := self.gate.count("changed"):
            words.append(f"{changed} changed since you looked")
        if ticked:
            words.append(f"{ticked} ticked")
        return " · ".join(words)


@dataclass(frozen=True)
class Shown:
    """One look at the change: all of it, what is new since the last look, or an earlier round."""

    view: str  # "all", "since", or a round's number
    tabs: list[tuple[str, str]]  # (view, label)
    diff: StoredDiff | None
    comments: dict[Place, list[Comment]] = field(default_factory=dict)
    problem: str = ""  # why there is no diff, where it was tried

    @property
    def is_present(self) -> bool:
        """Whether it shows the commits that a verdict would be for."""
        return self.view in (ALL, SINCE)


def one(ctx: Context, merge_request_id: int) -> Review:
    """Everything about one merge request but its lines; NotFound where there is none."""
    snap = snapshot.take(ctx)
    listing = reviews.listing(ctx, snap)
    ranked = [*listing.rows, *listing.away]
    with ctx.db.read() as db:
        request = merge_requests.existing(db, merge_request_id)
        comments = merge_requests.comments(db, merge_request_id)
        repository = repositories.get(db, request.repository_id)
        if repository is None:
            raise NotFound("The repository of this merge request is gone.")
        return Review(
            row=_row(snap, request, ranked),
            repository=repository,
            task=tasks.get(db, request.task_id) if request.task_id else None,
            agent=agents.get(db, request.agent_id) if request.agent_id else None,
            comments=comments,
            lines=lines_now(ctx, request, comments),
            landing=merge_requests.landing_of(db, merge_request_id),
            reverted_by=merge_requests.revert_of(db, merge_request_id),
            gate=deciding.gate(ctx, db, request),
            record=_record(db, request),
            next_url=_next(ranked, merge_request_id),
        )


def shown(ctx: Context, review: Review, view: str = "") -> Shown:
    """The lines to show; where `view` names nothing, what is new, else everything."""
    request = review.row.request
    number = request.id or 0
    since = diffs.since_seen(ctx, merge_request_id=number)
    with ctx.db.read() as db:
        earlier = [one for one in rounds.of(db, number) if one.head_sha != request.head_sha]
    tabs = _tabs(earlier, since)
    if view not in dict(tabs):
        view = SINCE if since and since.files and review.is_decidable else ALL
    if view == SINCE:
        diff, head_sha = since, request.head_sha
    else:
        spans = {str(one.number): (one.head_sha, one.merge_base_sha) for one in earlier}
        head_sha, fork = spans.get(view, (request.head_sha, request.merge_base_sha))
        diff = diffs.of_head(ctx, request, head_sha, fork)
    sides = ("new",) if view == SINCE else ("old", "new")  # its old side is no commit's
    problem = diffs.problem(diffs.request_path(ctx, number, head_sha)) if diff is None else ""
    return Shown(view, tabs, diff, _by_line(review, head_sha, sides), problem)


def _row(
    snap: Snapshot, request: MergeRequest, ranked: Sequence[RankedRow]
) -> ReviewRow | RankedRow:
    """As the list shows it, or by itself where it is decided."""
    listed = next((row for row in ranked if row.request.id == request.id), None)
    names = {agent.id or 0: agent.name for agent in snap.agents}
    return listed or reviews.row_of(request, snap.checks, names)


def _next(ranked: Sequence[RankedRow], merge_request_id: int) -> str:
    """The one below it that waits for the human, else the first such, else the list."""
    ids = [row.request.id for row in ranked]
    at = ids.index(merge_request_id) + 1 if merge_request_id in ids else 0
    around = [*ranked[at:], *ranked[:at]]
    waiting = (
        row.request.id
        for row in around
        if row.request.state == "open" and row.request.id != merge_request_id
    )
    found = next(waiting, None)
    return f"/reviews/{found}" if found else "/reviews"


def _record(db: Orm, request: MergeRequest) -> str:
    session = sessions.get(db, request.session_id) if request.session_id else None
    if session is None or not session.model:
        return ""
    task = tasks.get(db, request.task_id) if request.task_id else None
    return record.line(
        db,
        session.model,
        label=task.label if task else "",
        language=max(request.languages, key=request.languages.__getitem__, default=""),
        area=request.areas[0] if request.areas else "",
    )


def _tabs(earlier: Sequence[Round], since: StoredDiff | None) -> list[tuple[str, str]]:
    tabs = [(SINCE, "Since you looked")] if since else []
    tabs.append((ALL, "Everything"))
    return tabs + [(str(one.number), f"Round {one.number}") for one in reversed(earlier)]


def _by_line(review: Review, head_sha: str, sides: tuple[str, ...]) -> dict[Place, list[Comment]]:
    """The remarks by where they stand at that head; at the present one earlier rounds' too."""
    found: dict[Place, list[Comment]] = defaultdict(list)
    is_present = head_sha == review.row.request.head_sha
    for comment in review.comments:
        line = comment.line if comment.head_sha == head_sha else None
        if is_present:
            line = review.lines.get(comment.id or 0)
        if comment.path and line is not None and comment.side in sides:
            found[comment.path, comment.side, line].append(comment)
    return dict(found)
