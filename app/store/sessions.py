"""Queries on sessions, their journal index, messages, permissions and usage."""

from collections.abc import Collection

from sqlalchemy import func
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import (
    JournalIndex,
    Message,
    Permission,
    Session,
    SessionAccount,
    Task,
    UsageMinute,
)

LIVE_STATES = ("starting", "running")


def get(db: Orm, session_id: str) -> Session | None:
    return db.get(Session, session_id)


def live(db: Orm) -> list[Session]:
    return list(db.exec(select(Session).where(col(Session.state).in_(LIVE_STATES))))


def successor(db: Orm, session: Session) -> Session:
    """The session that goes on with its work now: the end of the chain, itself where none does."""
    wanted = select(Session).where(Session.continues_id == session.id)
    while (after := db.exec(wanted.limit(1)).first()) is not None:
        session = after
        wanted = select(Session).where(Session.continues_id == session.id)
    return session


def chain(db: Orm, session: Session, limit: int) -> list[Session]:
    """The session and those whose work it goes on with, newest first, at most `limit`."""
    found = [session]
    while session.continues_id and len(found) < limit:
        before = db.get(Session, session.continues_id)
        if before is None:
            break
        session = before
        found.append(session)
    return found


def every(db: Orm) -> list[Session]:
    return list(db.exec(select(Session).order_by(col(Session.created_at))))


def of_task(db: Orm, task_id: int) -> list[Session]:
    """Newest first."""
    wanted = select(Session).where(Session.task_id == task_id)
    return list(db.exec(wanted.order_by(col(Session.created_at).desc())))


def of_agent(db: Orm, agent_id: int, limit: int = 20) -> list[Session]:
    """Newest first."""
    wanted = select(Session).where(Session.agent_id == agent_id)
    return list(db.exec(wanted.order_by(col(Session.created_at).desc()).limit(limit)))


def latest_by_agent(db: Orm) -> dict[int, Session]:
    """The newest session of every agent."""
    newest = select(col(Session.agent_id), func.max(Session.created_at).label("at"))
    last = newest.group_by(col(Session.agent_id)).subquery()
    rows = select(Session).join(
        last, (col(Session.agent_id) == last.c.agent_id) & (col(Session.created_at) == last.c.at)
    )
    return {session.agent_id: session for session in db.exec(rows)}


def some(db: Orm, ids: Collection[str]) -> dict[str, Session]:
    """Sessions by id, in one query."""
    return {row.id: row for row in db.exec(select(Session).where(col(Session.id).in_(ids)))}


def payers_of(db: Orm, ids: Collection[str]) -> dict[str, list[SessionAccount]]:
    """Which accounts paid for these sessions, each in the order of its records."""
    found: dict[str, list[SessionAccount]] = {}
    wanted = select(SessionAccount).where(col(SessionAccount.session_id).in_(ids))
    for row in db.exec(wanted.order_by(col(SessionAccount.first_seq))):
        found.setdefault(row.session_id, []).append(row)
    return found


def payers(db: Orm, session_id: str) -> list[SessionAccount]:
    """The same of one session."""
    return payers_of(db, [session_id]).get(session_id, [])


def charge(db: Orm, session: Session) -> None:
    """Its account pays from the next record on; said again, it changes nothing."""
    known = payers(db, session.id)
    if not known or known[-1].account_id != session.account_id:
        first = session.seq + 1
        row = SessionAccount(session_id=session.id, first_seq=first, account_id=session.account_id)
        db.merge(row)


def index_before(db: Orm, session_id: str, seq: int) -> JournalIndex | None:
    """The last indexed record at or before `seq`."""
    wanted = select(JournalIndex).where(
        JournalIndex.session_id == session_id, col(JournalIndex.seq) <= seq
    )
    return db.exec(wanted.order_by(col(JournalIndex.seq).desc()).limit(1)).first()


def queued_messages(db: Orm, session_id: str | None = None) -> list[Message]:
    """Oldest first."""
    wanted = select(Message).where(Message.state == "queued")
    if session_id is not None:
        wanted = wanted.where(Message.session_id == session_id)
    return list(db.exec(wanted.order_by(col(Message.created_at))))


def open_permissions(db: Orm, session_id: str | None = None) -> list[Permission]:
    """Oldest first: the inbox."""
    wanted = select(Permission).where(col(Permission.state).in_(("open", "answering")))
    if session_id is not None:
        wanted = wanted.where(Permission.session_id == session_id)
    return list(db.exec(wanted.order_by(col(Permission.created_at))))


def permission(db: Orm, permission_id: int) -> Permission | None:
    return db.get(Permission, permission_id)


def output_since(db: Orm, minute: int) -> list[tuple[str, int, int]]:
    """(session id, minute, output tokens) of all sessions from that minute (unix time // 60) on."""
    row = (UsageMinute.session_id, UsageMinute.minute, UsageMinute.output_tokens)
    return list(db.exec(select(*row).where(col(UsageMinute.minute) >= minute)))


def occupying(db: Orm) -> list[Session]:
    """Sessions that hold a slot: at work on a running task, or about to be launched for one.

    A runner that only waits for a verdict holds none; it gives way when its agent is needed.
    """
    at_work = col(Session.state).in_(LIVE_STATES) & (col(Task.state) == "running")
    rows = select(Session).join(Task, col(Task.id) == Session.task_id)
    return list(db.exec(rows.where(at_work | col(Session.wants_start))))


def rivals(db: Orm, session: Session) -> list[Session]:
    """The agent's other live sessions: they stand in the same worktree."""
    wanted = select(Session).where(
        Session.agent_id == session.agent_id,
        Session.id != session.id,
        col(Session.state).in_(LIVE_STATES),
    )
    return list(db.exec(wanted))


def wanting_start(db: Orm) -> list[Session]:
    """Oldest first."""
    wanted = select(Session).where(col(Session.wants_start))
    return list(db.exec(wanted.order_by(col(Session.created_at))))


def resumable(db: Orm, task_id: int) -> Session | None:
    """The task's newest session that is not over."""
    wanted = select(Session).where(Session.task_id == task_id, Session.state != "ended")
    return db.exec(wanted.order_by(col(Session.created_at).desc()).limit(1)).first()


def with_pending_outcome(db: Orm) -> list[Session]:
    """Sessions whose last turn ended and was not acted on yet."""
    return list(db.exec(select(Session).where(Session.pending_outcome != "")))


def permission_of(db: Orm, session_id: str, request_id: str) -> Permission | None:
    """The row of a vendor's request, where it was ingested before."""
    wanted = select(Permission).where(
        Permission.session_id == session_id, Permission.request_id == request_id
    )
    return db.exec(wanted).first()


def going_on(db: Orm) -> list[tuple[Session, Task]]:
    """Sessions that are live, or whose task waits for them, each with its task."""
    rows = select(Session, Task).join(Task, col(Task.id) == Session.task_id)
    is_live = col(Session.state).in_(LIVE_STATES)
    waits = (col(Session.state) != "ended") & col(Task.state).in_(("running", "queued"))
    rows = rows.where(is_live | waits, col(Session.ends).is_(False))
    return list(db.exec(rows.order_by(col(Session.created_at))).all())


def under_way(db: Orm) -> list[Session]:
    """Sessions at work on a running task, and the newest one of each task that is parked."""
    rows = select(Session, Task).join(Task, col(Task.id) == Session.task_id)
    rows = rows.where(col(Session.state) != "ended", col(Task.state).in_(("running", "parked")))
    newest: dict[int, Session] = {}
    for session, task in db.exec(rows.order_by(col(Session.created_at))):
        if task.state == "parked" or session.state in LIVE_STATES:
            newest[session.task_id] = session
    return list(newest.values())


def turned_away(db: Orm) -> list[Session]:
    """Sessions of tasks that are not over whose login or key was refused last."""
    rows = select(Session).join(Task, col(Task.id) == Session.task_id)
    stuck = col(Task.state).in_(("running", "failed", "parked"))
    return list(db.exec(rows.where(Session.error == "auth", Session.state != "ended", stuck)))
