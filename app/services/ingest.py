"""Journals into rows, exactly once: the cursor and what was folded move in one transaction.

A cursor never passes bytes that were not made durable first, so it can never point past the end
of a journal after a power cut.
"""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, update
from sqlmodel import Session as Orm
from sqlmodel import col

from agents import events as ev
from agents import journal
from agents.events import Record
from app.models import (
    Conversation,
    JournalIndex,
    Permission,
    Session,
    SessionAccount,
    UsageMinute,
)
from app.models.base import utc_now
from app.services import clock
from app.services.context import Context
from app.services.fold import Effects, fold
from app.services.quota import store_readings
from app.store import sessions
from app.store.upsert import upsert

BATCH_BYTES = 4_000_000
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # in JSON, and not an escaped backslash


@dataclass(frozen=True)
class Chunk:
    """New whole lines of one journal: `lines` as `agents.journal.read_after` gives them."""

    session_id: str
    offset: int
    lines: list[journal.Line]
    end: int

    @property
    def records(self) -> list[Record]:
        return [record for _, record, _ in self.lines if record is not None]


def journal_path(ctx: Context, session_id: str) -> Path:
    return ctx.home.session(session_id) / "journal.ndjson"


def read_chunk(ctx: Context, session_id: str, offset: int) -> Chunk:
    """What a session's journal holds after `offset`, up to about 4 MB."""
    lines, end = journal.read_after(journal_path(ctx, session_id), offset, BATCH_BYTES)
    return Chunk(session_id, offset, lines, end)


def store_chunks(ctx: Context, chunks: list[Chunk]) -> set[str]:
    """Fold the chunks into their rows, all or none.

    A chunk that does not start at its row's cursor is left out; its session's id is returned.
    """
    for session_id in {chunk.session_id for chunk in chunks}:
        journal.sync(journal_path(ctx, session_id))
    stale: set[str] = set()
    with ctx.db.write() as db:
        ids = {chunk.session_id for chunk in chunks}
        known, payers = sessions.some(db, ids), sessions.payers_of(db, ids)
        with clock.at_hand(db, {session.agent_id for session in known.values()}):
            for chunk in chunks:
                session = known.get(chunk.session_id)
                if session is None or session.offset != chunk.offset:
                    stale.add(chunk.session_id)
                    continue
                effects = _fold_chunk(session, chunk, payers.get(session.id, []))
                clock.count(db, session, effects.activities)
                db.add(session)
                _store_effects(db, session.id, effects)
                store_readings(db, effects.quota)
    return stale


def clamp_cursor(ctx: Context, session_id: str, size: int) -> None:
    """The journal lost its end (power cut): rebuild the row from what is left of it."""
    with ctx.db.write() as db:
        session = sessions.get(db, session_id)
        if session is not None and session.offset > size:
            reset(db, session)


def reset(db: Orm, session: Session) -> None:
    """Back to the start of the journal; the next ingest folds it all again."""
    session.counted_seq = max(session.counted_seq, session.seq)  # the clocks have it already
    for table in (JournalIndex, UsageMinute):
        db.connection().execute(delete(table).where(col(table.session_id) == session.id))
    blank = Session(id="", agent_id=0, task_id=0, account_id=0, driver="")
    for name in _FOLDED:
        setattr(session, name, getattr(blank, name))
    db.add(session)


_FOLDED = (
    "offset", "seq", "event_count", "digest", "fold", "last_line", "summary", "error",
    "error_message", "output_tokens", "input_tokens", "cache_write_tokens", "cache_read_tokens",
    "cost_usd", "turns", "touched_seq", "pending_outcome", "pending_resets_at", "last_event_at",
)  # fmt: skip


def _fold_chunk(session: Session, chunk: Chunk, payers: list[SessionAccount]) -> Effects:
    effects = Effects()
    start = chunk.offset
    for after, record, line in chunk.lines:
        session.digest = zlib.crc32(line, session.digest)
        if record is not None and record.seq > session.seq:
            paid = [row.account_id for row in payers if row.first_seq <= record.seq]
            effects.account_id = paid[-1] if paid else session.account_id
            fold(session, _storable(record, line), start, effects)
        start = after
    session.offset = chunk.end
    return effects


def _storable(record: Record, line: bytes) -> Record:
    """The record of a line; without NUL, which vendors may send and PostgreSQL does not take."""
    return ev.decode(_NUL.sub(rb"\1", line)) if rb"\u0000" in line else record


def _store_effects(db: Orm, session_id: str, effects: Effects) -> None:
    _settle_permissions(db, session_id, effects)
    for request in effects.asked:
        if sessions.permission_of(db, session_id, request.request_id) is not None:
            continue  # folded again after a rebuild: it was asked, and settled, before
        answer = effects.resolved.get(request.request_id)
        row = Permission(
            session_id=session_id,
            request_id=request.request_id,
            tool=request.tool,
            name=request.name,
            title=request.title,
            input=dict(request.input),
            reason=request.reason,
            state=answer.decision if answer else "open",
            decided_at=utc_now() if answer else None,
        )
        db.add(row)
    places = [{"session_id": session_id, "seq": seq, "offset": at} for seq, at in effects.index]
    upsert(db, JournalIndex, ("session_id", "seq"), places)
    known = [{"id": name, "session_id": session_id} for name in effects.conversations]
    upsert(db, Conversation, ("id",), known)
    _store_usage(db, session_id, effects)


def _store_usage(db: Orm, session_id: str, effects: Effects) -> None:
    rows = [
        {
            "session_id": session_id,
            "account_id": account_id,
            "model": model,
            "minute": minute,
            "output_tokens": usage.output_tokens,
            "input_tokens": usage.input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
        }
        for (account_id, model, minute), usage in effects.usage.items()
    ]
    upsert(db, UsageMinute, ("session_id", "account_id", "model", "minute"), rows, add=True)


def _settle_permissions(db: Orm, session_id: str, effects: Effects) -> None:
    """Answers first, then void what nobody will answer; new questions come after."""
    waiting = (
        update(Permission)
        .where(col(Permission.session_id) == session_id)
        .where(col(Permission.state).in_(("open", "answering")))
    )
    for request_id, answer in effects.resolved.items():
        said = {"state": answer.decision, "message": answer.message, "decided_at": utc_now()}
        db.connection().execute(
            waiting.where(col(Permission.request_id) == request_id).values(**said)
        )
    if effects.void_permissions:
        db.connection().execute(waiting.values(state="void", decided_at=utc_now()))
