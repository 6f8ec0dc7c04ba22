"""Sessions as the human meets them: read the log, say something, interrupt, answer."""

import asyncio
import uuid

from sqlmodel import Session as Orm

from agents import control, journal
from agents.errors import AgentError
from agents.events import Record
from app.errors import Conflict, Invalid, NotFound, Unavailable
from app.models import Message, Permission, Session
from app.models.base import utc_now
from app.services.context import Context
from app.services.ingest import journal_path
from app.services.ledger import record
from app.services.tasks import PROMPT_BYTES
from app.store import sessions

DECISIONS = ("allow", "allow_always", "deny")


def existing(db: Orm, session_id: str) -> Session:
    session = sessions.get(db, session_id)
    if session is None:
        raise NotFound(f"There is no session {session_id!r}; the agent's page lists its sessions.")
    return session


def say(
    ctx: Context,
    *,
    session_id: str,
    text: str,
    origin: str = "human",
    message_id: str | None = None,
) -> Message:
    """Store a message for a session and have it delivered once, resuming it where needed."""
    text = text.strip()
    if not text:
        raise Invalid("The message is empty.")
    if len(text.encode()) > PROMPT_BYTES:
        raise Invalid(f"The message is longer than {PROMPT_BYTES:,} bytes; shorten it.")
    with ctx.db.write() as db:
        session = sessions.successor(db, existing(db, session_id))
        session_id = session.id  # handed over: the one that goes on hears it
        if session.ends or session.state == "ended":
            raise Conflict("This session is over; give the agent a new task instead.")
        message_id = message_id or uuid.uuid4().hex
        message = db.get(Message, message_id)
        if message is None:
            message = Message(id=message_id, session_id=session_id, text=text, origin=origin)
            db.add(message)
    ctx.publish(f"session:{session_id}", "wake")
    return message


def interrupt(ctx: Context, *, session_id: str) -> None:
    """Stop the running turn and its tools; the session stays usable."""
    with ctx.db.write() as db:
        session = existing(db, session_id)
        if session.state != "running":
            raise Conflict("The agent is not running, so there is nothing to interrupt.")
        record(db, "interrupt", f"session {session_id}")
    command(ctx, session_id, "interrupt")


def command(ctx: Context, session_id: str, op: str, **fields: object) -> dict[str, object]:
    """One command to the session's runner, bounded; Unavailable where it does not answer."""
    directory = ctx.home.session(session_id)
    try:
        return asyncio.run(control.request(directory, op, timeout_seconds=15, **fields))
    except AgentError as error:
        raise Unavailable(f"The agent's runner did not take it: {error}") from error


def answer(ctx: Context, *, permission_id: int, decision: str, message: str = "") -> Permission:
    """Decide a permission request once; the first answer counts."""
    if decision not in DECISIONS:
        raise Invalid(f"{decision!r} is no decision: take one of {', '.join(DECISIONS)}.")
    with ctx.db.write() as db:
        permission = sessions.permission(db, permission_id)
        if permission is None:
            raise NotFound(f"There is no permission request {permission_id}.")
        if permission.state != "open":
            raise Conflict(f"This request was settled already: {permission.state}.")
        permission.state, permission.message = "answering", message
        permission.decided_at = utc_now()
        db.add(permission)
        record(db, decision, f"permission {permission_id}", detail={"title": permission.title})
    try:
        command(
            ctx,
            permission.session_id,
            "answer",
            request_id=permission.request_id,
            decision=decision,
            message=message,
        )
    except Unavailable:
        _reopen(ctx, permission_id)
        raise
    ctx.publish("inbox", "fleet", f"session:{permission.session_id}")
    return permission


def _reopen(ctx: Context, permission_id: int) -> None:
    with ctx.db.write() as db:
        permission = sessions.permission(db, permission_id)
        if permission is not None and permission.state == "answering":
            permission.state, permission.decided_at = "open", None
            db.add(permission)


def log_after(ctx: Context, *, session_id: str, seq: int, count: int = 500) -> list[Record]:
    """Up to `count` records after `seq`, in order, from the journal."""
    with ctx.db.read() as db:
        existing(db, session_id)
        known = sessions.index_before(db, session_id, seq + 1)
    path = journal_path(ctx, session_id)
    offset, first = (known.offset, known.seq) if known else (0, 1)
    records = journal.records_from(path, offset, count + max(0, seq + 1 - first))
    return [record for record in records if record.seq > seq][:count]


def log_before(ctx: Context, *, session_id: str, seq: int | None, count: int = 500) -> list[Record]:
    """The last `count` records before `seq` (None: of the whole journal), in order."""
    if seq is None:
        with ctx.db.read() as db:
            existing(db, session_id)
        return journal.tail(journal_path(ctx, session_id), count)
    first = max(1, seq - count)
    records = log_after(ctx, session_id=session_id, seq=first - 1, count=count)
    return [record for record in records if record.seq < seq]
