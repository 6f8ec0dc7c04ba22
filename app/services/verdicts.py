"""Verdicts taken back: the human changed his mind."""

from sqlmodel import Session as Orm

from app.errors import Conflict
from app.models import Comment, Decision, MergeRequest, Message, Task
from app.services import preflight, reviews
from app.services.context import Context
from app.services.ledger import record
from app.store import decisions, merge_requests


def undo_verdict(ctx: Context, *, merge_request_id: int) -> MergeRequest:
    """Open again; for a merged one, the merge request that takes it back.

    Conflict where there is nothing to take back: not decided, landing, or its author was told.
    """
    with ctx.db.read() as db:
        request = merge_requests.existing(db, merge_request_id)
    if request.state == "merged":
        return reviews.undo(ctx, merge_request_id=merge_request_id)
    with ctx.db.write() as db:
        request = merge_requests.existing(db, merge_request_id)
        was = request.state
        _may_reopen(db, request)
        if not merge_requests.take_back(db, merge_request_id, (was,), "open", ""):
            raise Conflict(f"#{merge_request_id} was decided anew just now; look again.")
        db.refresh(request)
        _reopen(db, request, was)
        record(
            db,
            "undo",
            f"merge request {merge_request_id}",
            sha=request.head_sha,
            tree_sha=request.tree_sha,
            detail={"was": was},
        )
    if was == "rejected":  # the base may have moved on without it
        preflight.preflight(ctx, merge_request_id)
    reviews.announce(ctx, merge_request_id)
    return request


def _may_reopen(db: Orm, request: MergeRequest) -> None:
    if request.state == "landing":
        raise Conflict(f"#{request.id} is landing now; undo it once it has landed.")
    if request.state == "changes_requested":
        message = _message(db, request)
        if message is None or message.state != "queued":
            raise Conflict(
                f"The author of #{request.id} was told already; wait for its answer, "
                "or tell it otherwise."
            )
    elif request.state not in ("approved", "rejected"):
        raise Conflict(f"#{request.id} is {request.state}; there is no verdict to take back.")


def _reopen(db: Orm, request: MergeRequest, was: str) -> None:
    request.decided_at = None
    if was == "rejected":
        readmit(db, request)
    elif was == "changes_requested":
        _unsend(db, request)
    db.add(request)


def readmit(db: Orm, request: MergeRequest) -> None:
    """Its work waits for the human again; its session stays over, its commits were kept."""
    request.snapshot_ref = ""
    task = db.get(Task, request.task_id) if request.task_id is not None else None
    if task is not None and task.state == "cancelled":
        task.state, task.state_reason, task.ended_at = "review", "", None
        db.add(task)


def _unsend(db: Orm, request: MergeRequest) -> None:
    decision = _request_for_changes(db, request)
    for comment_id in decision.detail["comments"] if decision else []:
        comment = db.get_one(Comment, comment_id)
        comment.is_sent = False
        db.add(comment)
    db.delete(_message(db, request))


def _message(db: Orm, request: MergeRequest) -> Message | None:
    decision = _request_for_changes(db, request)
    return db.get(Message, decision.detail["message_id"]) if decision else None


def _request_for_changes(db: Orm, request: MergeRequest) -> Decision | None:
    return decisions.newest(db, f"merge request {request.id}", "request_changes")
