"""What follows when a turn ends: a merge request, a parked task, or a question to the human.

Acting twice on one outcome changes nothing: it is cleared by compare-and-swap afterwards.
"""

from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.errors import AppError
from app.models import Account, Session, Task
from app.models.base import utc_now
from app.services import offers
from app.services.context import Context
from app.store import accounts, sessions, tasks

UNKNOWN_RESET = timedelta(minutes=15)  # a limit without a time: look again then
_RESET_MARGIN = timedelta(seconds=2)


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
        if row.pending_outcome == "limited":
            _park(db, row, task)
        elif row.pending_outcome == "failed" and task.state == "running":
            task.state = "failed"
            task.state_reason = row.error_message or f"The agent failed: {row.error}."
        elif row.pending_outcome == "interrupted" and task.state == "running":
            task.state_reason = "Interrupted: say how to go on, or stop it."
        row.pending_outcome, row.pending_resets_at = "", None
        db.add(row)
        db.add(task)


def _offer(ctx: Context, session: Session) -> None:
    """Make or renew the merge request of the session's branch."""
    try:
        made = offers.offer(ctx, session_id=session.id)
    except AppError as error:
        _needs_human(ctx, session, str(error))
        return
    if made is None:
        _needs_human(ctx, session, "The agent ended its turn without changing anything.")


def _needs_human(ctx: Context, session: Session, reason: str) -> None:
    with ctx.db.write() as db:
        task = tasks.get(db, session.task_id)
        if task is not None and task.state in ("running", "queued"):
            task.state, task.state_reason = "failed", reason
            db.add(task)


def _park(db: Orm, session: Session, task: Task) -> None:
    """A limit is no failure: free the slot, come back once when the window does."""
    returns = (session.pending_resets_at or utc_now() + UNKNOWN_RESET) + _RESET_MARGIN
    account = accounts.get(db, session.account_id)
    if account is not None:
        _limit(db, account, returns)
    session.wants_stop = True
    if task.state in ("running", "queued"):
        task.state, task.parked_until = "parked", returns
        name = account.name if account else "The account"
        task.state_reason = f"{name} has used up its window; it goes on by itself when it returns."


def _limit(db: Orm, account: Account, until: datetime) -> None:
    if account.limited_until is None or account.limited_until < until:
        account.limited_until = until
        db.add(account)
