"""Reviews: the human's verdicts. Each is bound to the commit that was seen."""

import zlib
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session as Orm

from app.errors import Conflict, Invalid
from app.git import merging
from app.git.cloning import sync
from app.git.gate import request_ref
from app.git.names import slugify
from app.git.repositories import inspect
from app.models import Comment, MergeRequest, Session, Task
from app.models.base import utc_now
from app.services import deciding, preflight, returns
from app.services.context import Context
from app.services.ledger import record
from app.services.repositories import clones_of
from app.store import merge_requests, repositories, sessions

COMMENT_BYTES = 20_000
_APPROVABLE = ("open", "changes_requested")


def approve(
    ctx: Context,
    *,
    merge_request_id: int,
    head_sha: str,
    force: bool = False,
    after: Sequence[int] = (),
    when_checks_pass: bool = False,
    bulk: bool = False,
) -> MergeRequest:
    """Let this very commit land, once those of `after` have landed and what it gives passes.

    `force` lands it without a passing check; `when_checks_pass` approves it though its check does
    not pass yet. NotSeen where it was not looked at as its care level asks.
    """
    _read_ahead(ctx, merge_request_id, head_sha)
    with ctx.db.write() as db:
        request = deciding.at_head(ctx, db, merge_request_id, head_sha)
        _undecided(request, _APPROVABLE)
        gate = deciding.gate(ctx, db, request)
        deciding.pass_gate(request, gate, bulk=bulk)
        given = {"force": force, "when_checks_pass": when_checks_pass, "bulk": bulk}
        approve_in(db, request, gate, after=after, **given)
    announce(ctx, merge_request_id)
    return request


def approve_in(
    db: Orm,
    request: MergeRequest,
    gate: deciding.Gate,
    *,
    force: bool = False,
    after: Sequence[int] = (),
    when_checks_pass: bool = False,
    **detail: Any,
) -> None:
    """Approve, in the caller's transaction, what has passed its gate."""
    check = merge_requests.latest_check(db, request.id or 0)
    deciding.pass_check(request, check, force=force, when_checks_pass=when_checks_pass)
    waits_for = deciding.conditions(db, request, after)
    evidence = deciding.evidence(db, request, gate)
    _decide(db, request, _APPROVABLE, "approved")
    request.approved_sha, request.decided_at = request.head_sha, utc_now()
    request.is_forced, request.state_reason = force, ""
    request.after, request.waits_for_check = waits_for, when_checks_pass
    db.add(request)
    given = {"force": force, "after": waits_for, "when_checks_pass": when_checks_pass} | detail
    _record(db, "approve", request, evidence, given)


def reject(ctx: Context, *, merge_request_id: int, head_sha: str, reason: str = "") -> MergeRequest:
    """Turn it down for good. Its commits stay under a ref of ours; the agent is free again."""
    _read_ahead(ctx, merge_request_id, head_sha)
    with ctx.db.write() as db:
        request = deciding.at_head(ctx, db, merge_request_id, head_sha)
        evidence = deciding.evidence(db, request, deciding.gate(ctx, db, request))
        _decide(db, request, merge_requests.MOVABLE_STATES, "rejected")
        request.snapshot_ref = request_ref(merge_request_id, request.round)
        request.decided_at, request.state_reason = utc_now(), reason
        deciding.void_approval(request)
        db.add(request)
        _record(db, "reject", request, evidence, {"reason": reason})
        if request.task_id is not None:
            _close_task(db, request.task_id, reason)
        stranded = deciding.strand(db, request)
    announce(ctx, merge_request_id, *stranded)
    return request


def request_changes(
    ctx: Context, *, merge_request_id: int, head_sha: str, body: str = ""
) -> MergeRequest:
    """Send the remarks, and every comment not sent yet, to the author's session."""
    _read_ahead(ctx, merge_request_id, head_sha)
    with ctx.db.write() as db:
        request = deciding.at_head(ctx, db, merge_request_id, head_sha)
        unsent = [c for c in merge_requests.comments(db, merge_request_id) if not c.is_sent]
        if not body.strip() and not unsent:
            raise Invalid("Say what should change: write a remark, or comment on a line.")
        if request.session_id is None:
            raise Conflict("No agent made this merge request; reject it instead.")
        session = sessions.get(db, request.session_id)
        session = sessions.successor(db, session) if session else None
        if session is None or session.ends or session.state == "ended":
            raise Conflict("Its author's session is over; reject it and write a new task.")
        evidence = deciding.evidence(db, request, deciding.gate(ctx, db, request))
        _decide(db, request, merge_requests.MOVABLE_STATES, "changes_requested")
        request.decided_at, request.state_reason = utc_now(), ""
        deciding.void_approval(request)
        db.add(request)
        for comment in unsent:
            comment.is_sent = True
            db.add(comment)
        sent = [comment.id or 0 for comment in unsent]
        number = f"{request.round}-{max(sent, default=0)}-{zlib.crc32(body.encode()):x}"
        message_id = f"review-{merge_request_id}-{number}"
        given = {"body": body, "comments": sent, "message_id": message_id}
        _record(db, "request_changes", request, evidence, given)
    text = returns.verdict_text(request, body, unsent)
    returns.tell_author(ctx, request, text, message_id=message_id)
    announce(ctx, merge_request_id)
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
        merge_requests.existing(db, merge_request_id)
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
        request = merge_requests.existing(db, merge_request_id)
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
    head = merging.revert_commit(
        clones, landing.new_sha, base, message, who, utc_now(), before=landing.old_sha
    )
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
        db.flush()
        _record(db, "undo", request, {}, {"landed": landing.new_sha, "revert_id": revert.id})
    preflight.preflight(ctx, revert.id or 0)
    announce(ctx, revert.id or 0)
    return revert


def _decide(db: Orm, request: MergeRequest, was: tuple[str, ...], now: str) -> None:
    """Compare and swap: of two browsers that decide, one wins and the other is told."""
    changed = merge_requests.change_state(db, request.id or 0, was, now)
    db.refresh(request)
    _undecided(request, (now,) if changed else ())


def _read_ahead(ctx: Context, merge_request_id: int, head_sha: str) -> None:
    """The diff's list comes from its file before the one writer is taken; it is kept in memory."""
    with ctx.db.read() as db:
        deciding.gate(ctx, db, deciding.at_head(ctx, db, merge_request_id, head_sha))


def _undecided(request: MergeRequest, states: tuple[str, ...]) -> None:
    if request.state not in states:
        raise Conflict(f"#{request.id} is {request.state} already; there is nothing to decide.")


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


def _record(
    db: Orm, verb: str, request: MergeRequest, evidence: dict[str, Any], detail: dict[str, Any]
) -> None:
    record(
        db,
        verb,
        f"merge request {request.id}",
        sha=request.head_sha,
        tree_sha=request.tree_sha,
        evidence=evidence,
        detail=detail,
    )


def announce(ctx: Context, *merge_request_ids: int) -> None:
    """Everything that shows a verdict, and the loops that act on it."""
    pages = [f"review:{merge_request_id}" for merge_request_id in merge_request_ids]
    ctx.publish("reviews", *pages, "tasks", "fleet", "inbox", "wake")
