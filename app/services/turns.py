"""What follows when a turn ends: a merge request, a parked task, or a question to the human.

Acting twice on one outcome changes nothing: it is cleared by compare-and-swap afterwards.
"""

import structlog

from app.errors import AppError
from app.models import Session
from app.services import evacuation, offers, parking
from app.services.context import Context
from app.store import sessions, tasks

_PASSING = ("throttle", "overloaded")  # not about this work, and not for a human to mend

log = structlog.get_logger()


def settle_turns(ctx: Context) -> int:
    """Act on every ended turn that waits for it; returns how many."""
    with ctx.db.read() as db:
        waiting = sessions.with_pending_outcome(db)
    for session in waiting:
        _settle(ctx, session)
    if waiting:
        ctx.publish("tasks", "fleet", "reviews", "inbox", "accounts", "wake")
    return len(waiting)


def _settle(ctx: Context, session: Session) -> None:
    if session.pending_outcome == "completed":
        _offer(ctx, session)
    with ctx.db.write() as db:
        row = sessions.get(db, session.id)
        task = tasks.get(db, session.task_id)
        if row is None or task is None or row.turns != session.turns:
            return  # a newer turn ended meanwhile: it is settled next
        is_limited = row.pending_outcome == "limited"
        if is_limited:
            parking.park_limited(db, row, task)
        elif row.pending_outcome == "failed" and row.error in _PASSING and task.state == "running":
            parking.back_off(db, row, task)
        elif row.pending_outcome == "failed" and task.state == "running":
            task.state = "failed"
            task.state_reason = row.error_message or f"The agent failed: {row.error}."
        elif row.pending_outcome == "interrupted" and task.state == "running":
            task.state_reason = "Interrupted: say how to go on, or stop it."
        row.pending_outcome, row.pending_resets_at = "", None
        db.add(row)
        db.add(task)
    if is_limited:
        evacuation.follow_limit(ctx, session.id)


def _offer(ctx: Context, session: Session) -> None:
    """Make or renew the merge request of the session's branch."""
    try:
        made = offers.offer(ctx, session_id=session.id)
    except AppError as error:
        _needs_human(ctx, session, str(error))
        return
    except Exception as error:  # our own fault, or a full disk: no other's work may wait for it
        log.exception("work could not be offered", session=session.id)
        problem = f"Its work could not be offered ({error!r}); the server's log says more."
        _needs_human(ctx, session, f"{problem} Send it a message to try again.")
        return
    if made is None:
        _needs_human(ctx, session, "The agent ended its turn without changing anything.")


def _needs_human(ctx: Context, session: Session, reason: str) -> None:
    with ctx.db.write() as db:
        task = tasks.get(db, session.task_id)
        if task is not None and task.state in ("running", "queued"):
            task.state, task.state_reason = "failed", reason
            db.add(task)
