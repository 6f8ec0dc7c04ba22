"""Reviews: the human's verdicts. Each is bound to the commit that was seen."""

import zlib

from sqlmodel import Session as Orm

from app.errors import Conflict, Invalid, NotFound
from app.git import merging
from app.git.cloning import sync
from app.git.names import slugify
from app.git.repositories import inspect
from app.models import Comment, MergeRequest, Session, Task
from app.models.base import utc_now
from app.services import preflight, returns
from app.services.context import Context
from app.services.ledger import record
from app.services.repositories import clones_of
from app.store import merge_requests, repositories, sessions

COMMENT_BYTES = 20_000


def approve(
    ctx: Context, *, merge_request_id: int, head_sha: str, force: bool = False
) -> MergeRequest:
    """Let this very commit land once its check passes; `force` lands it without a passing one."""
    with ctx.db.write() as db:
        request = _seen(db, merge_request_id, head_sha)
        check = merge_requests.latest_check(db, merge_request_id)
        if request.conflicts:
            raise Conflict(
                f"It conflicts with {request.base_branch} in {_paths(request.conflicts)}; "
                "send it back to its author first."
            )
        if check is not None and check.state in ("failed", "timeout", "error") and not force:
            raise Conflict(
                f"Its check {check.state}; request changes, or approve it with force all the same."
            )
        _decide(db, request, ("open", "changes_requested"), "approved")
        request.approved_sha, request.decided_at = head_sha, utc_now()
        request.is_forced, request.state_reason = force, ""
        db.add(request)
        record(db, "approve", _name(request), sha=head_sha, detail={"force": force})
    _announce(ctx, merge_request_id)
    return request


def reject(ctx: Context, *, merge_request_id: int, head_sha: str, reason: str = "") -> MergeRequest:
    """Turn it down for good. The branch stays in our own repository; the agent is free again."""
    with ctx.db.write() as db:
        request = _seen(db, merge_request_id, head_sha)
        _decide(db, request, ("open", "approved", "conflicted", "changes_requested"), "rejected")
        request.decided_at, request.state_reason, request.approved_sha = utc_now(), reason, ""
        db.add(request)
        record(db, "reject", _name(request), sha=head_sha, detail={"reason": reason})
        if request.task_id is not None:
            _close_task(db, request.task_id, reason)
    _announce(ctx, merge_request_id)
    return request


def request_changes(
    ctx: Context, *, merge_request_id: int, head_sha: str, body: str = ""
) -> MergeRequest:
    """Send the remarks, and every comment not sent yet, to the author's session."""
    with ctx.db.write() as db:
        request = _seen(db, merge_request_id, head_sha)
        unsent = [c for c in merge_requests.comments(db, merge_request_id) if not c.is_sent]
        if not body.strip() and not unsent:
            raise Invalid("Say what should change: write a remark, or comment on a line.")
        if request.session_id is None:
            raise Conflict("No agent made this merge request; reject it instead.")
        session = sessions.get(db, request.session_id)
        session = sessions.successor(db, session) if session else None
        if session is None or session.ends or session.state == "ended":
            raise Conflict("Its author's session is over; reject it and write a new task.")
        _decide(
            db, request, ("open", "approved", "conflicted", "changes_requested"),
            "changes_requested",
        )  # fmt: skip
        request.approved_sha, request.decided_at = "", utc_now()
        db.add(request)
        for comment in unsent:
            comment.is_sent = True
            db.add(comment)
        record(db, "request_changes", _name(request), sha=head_sha)
        newest = max((comment.id or 0 for comment in unsent), default=0)
    text = returns.verdict_text(request, body, unsent)
    number = f"{request.round}-{newest}-{zlib.crc32(body.encode()):x}"
    returns.tell_author(ctx, request, text, message_id=f"review-{merge_request_id}-{number}")
    _announce(ctx, merge_request_id)
    return request


def comment(
    ctx: Context,
    *,
    merge_request_id: int,
    head_sha: str,
    body: str,
    path: str = "",
    line: int | None = None,
    side: str = "new",
) -> Comment:
    """Note a remark on a line or on the whole; it goes out with the next request for changes."""
    if not body.strip():
        raise Invalid("The comment is empty.")
    if len(body.encode()) > COMMENT_BYTES:
        raise Invalid(f"The comment is longer than {COMMENT_BYTES:,} bytes; shorten it.")
    if side not in ("old", "new"):
        raise Invalid("A comment's side is old or new.")
    with ctx.db.write() as db:
        _existing(db, merge_request_id)
        row = Comment(
            merge_request_id=merge_request_id,
            head_sha=head_sha,
            path=path,
            line=line,
            side=side,
            body=body,
        )
        db.add(row)
    ctx.publish(f"review:{merge_request_id}")
    return row


def undo(ctx: Context, *, merge_request_id: int) -> MergeRequest:
    """A new merge request that takes back what a merged one changed."""
    with ctx.db.read() as db:
        request = _existing(db, merge_request_id)
        landing = merge_requests.landing_of(db, merge_request_id)
        repository = repositories.get(db, request.repository_id)
        open_revert = [r for r in merge_requests.open_ones(db) if r.reverts_id == merge_request_id]
    if request.state != "merged" or landing is None or repository is None:
        raise Conflict("Only a merged request can be undone.")
    if open_revert:
        return open_revert[0]
    clones = clones_of(ctx, repository)
    base = sync(clones)[request.base_branch]
    title = f"Revert: {request.title}"
    who = inspect(clones.human, request.base_branch).identity
    message = f"{title}\n\nTakes back #{request.id} ({landing.new_sha[:12]})."
    head = merging.revert_commit(clones, landing.new_sha, base, message, who, utc_now())
    revert = MergeRequest(
        repository_id=request.repository_id,
        title=title,
        summary=f"Takes back what #{request.id} changed.",
        branch=f"revert/{request.id}-{slugify(request.title)}",
        base_branch=request.base_branch,
        head_sha=head,
        base_sha=base,
        reverts_id=request.id,
    )
    with ctx.db.write() as db:
        db.add(revert)
        record(db, "undo", _name(request), sha=landing.new_sha)
    preflight.preflight(ctx, revert.id or 0)
    _announce(ctx, revert.id or 0)
    return revert


def _existing(db: Orm, merge_request_id: int) -> MergeRequest:
    request = merge_requests.get(db, merge_request_id)
    if request is None:
        raise NotFound(f"There is no merge request {merge_request_id}.")
    return request


def _seen(db: Orm, merge_request_id: int, head_sha: str) -> MergeRequest:
    request = _existing(db, merge_request_id)
    if request.head_sha != head_sha:
        raise Conflict(
            f"#{merge_request_id} has new commits since you looked: it is at "
            f"{request.head_sha[:12]}, you saw {head_sha[:12] or 'nothing'}. Look again."
        )
    return request


def _decide(db: Orm, request: MergeRequest, was: tuple[str, ...], now: str) -> None:
    """Compare and swap: of two browsers that decide, one wins and the other is told."""
    if not merge_requests.change_state(db, request.id or 0, was, now):
        db.refresh(request)
        raise Conflict(f"#{request.id} is {request.state} already; there is nothing to decide.")
    db.refresh(request)


def _close_task(db: Orm, task_id: int, reason: str) -> None:
    task = db.get(Task, task_id)
    if task is not None:
        task.state, task.ended_at = "cancelled", utc_now()
        task.state_reason = f"Rejected: {reason}" if reason else "Rejected."
        db.add(task)
    for session in sessions.of_task(db, task_id):
        _end(db, session)


def _end(db: Orm, session: Session) -> None:
    returns.end_session(session)
    db.add(session)


def _name(request: MergeRequest) -> str:
    return f"merge request {request.id}"


def _paths(conflicts: list[dict[str, str]]) -> str:
    return ", ".join(str(conflict["path"]) for conflict in conflicts[:3])


def _announce(ctx: Context, request_id: int) -> None:
    ctx.publish("reviews", f"review:{request_id}", "tasks", "fleet", "inbox", "wake")
