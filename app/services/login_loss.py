"""A login that is lost while agents work: the account closes, its tasks wait, and go on later.

A task whose agent was turned away is no failure of the work: it is parked without a time, and
goes back to the queue when the login is there again.
"""

from datetime import datetime

from sqlmodel import Session as Orm

from app.models import Account, Session, Task
from app.models.base import utc_now
from app.services import logins, probe_times
from app.services.context import Context
from app.store import accounts, sessions, tasks

_SAID_CHARS = 200


def settle(ctx: Context) -> bool:
    """Close what was refused, park its tasks, wake them where the login is back; idempotent.

    True where something changed.
    """
    now, lost, changed = utc_now(), set[int](), False
    with ctx.db.read() as db:
        if not sessions.turned_away(db):
            return False
    with ctx.db.write() as db:
        for session in sessions.turned_away(db):
            account = _payer(db, session)
            task = tasks.get(db, session.task_id)
            if account is None or task is None or not _is_newest(db, session):
                continue
            if _is_news(account, session, task):
                lose(db, account, session.error_message)
                lost.add(account.id or 0)
            if account.login == "out":
                changed |= _park(db, session, task, account)
            else:
                changed |= _wake(db, session, task, now)
    for account_id in lost:
        probe_times.doubt(ctx, account_id, now)
    if lost or changed:
        ctx.publish("accounts", "tasks", "fleet", "inbox", "wake")
    return bool(lost) or changed


def lose(db: Orm, account: Account, said: str) -> None:
    """The service refused its login or key: nobody works with it until it is mended."""
    account.login = "out"
    words = " ".join(said.split())[:_SAID_CHARS].rstrip(".")
    account.login_problem = f"{account.name} was refused ({words}); {_way(account)}"
    db.add(account)


def _way(account: Account) -> str:
    if command := logins.login_command(account):
        return f"log in again: {command}"
    if account.secret_env:
        return f"put a good one into ${account.secret_env} where the server runs, start it again"
    return f"mend it, then `quarterdeck account probe {account.name!r}`"


def _payer(db: Orm, session: Session) -> Account | None:
    """The account that was refused; None where the session was moved to another since."""
    paid = sessions.payers(db, session.id)
    if paid and paid[-1].account_id != session.account_id:
        return None
    return accounts.get(db, session.account_id)


def _is_newest(db: Orm, session: Session) -> bool:
    """Whether the task's work is this session's, and not a later one's."""
    return sessions.of_task(db, session.task_id)[0].id == session.id


def _is_news(account: Account, session: Session, task: Task) -> bool:
    """Whether this refusal was not yet taken: a task that was parked for it is not `failed`.

    A program's own "logged in" of about the same second proves nothing against the service.
    """
    asked_at = account.probed_at
    is_since = asked_at is None or asked_at < session.activity_at
    return account.login != "out" and (is_since or task.state == "failed")


def _park(db: Orm, session: Session, task: Task, account: Account) -> bool:
    if task.state != "failed":
        return False
    task.state, task.parked_until = "parked", None
    task.state_reason = f"It goes on by itself when the login is back. {account.login_problem}"
    session.wants_stop = session.state in sessions.LIVE_STATES
    db.add(task)
    db.add(session)
    return True


def _wake(db: Orm, session: Session, task: Task, now: datetime) -> bool:
    """The dispatcher takes it from here; not while the refused runner still lives."""
    if task.state != "parked" or task.parked_until is not None:
        return False
    if session.state in sessions.LIVE_STATES:
        return False
    task.parked_until = now
    db.add(task)
    return True
