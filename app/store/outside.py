"""Queries on the logs of use outside of our sessions: calls, their names, cursors, sums.

Calls and names are many (a gigabyte of logs has a hundred thousand), so all goes in bulk.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import msgspec
from sqlalchemy import bindparam, delete, func, insert, update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from agents.meters.base import Cursor, UsageRecord
from app.models import Conversation, LogFile, LoggedCall, LoggedName, OutsideMinute
from app.store.upsert import upsert

Value = TypeVar("Value")

_IN_ONE_QUERY = 900  # values in one IN: every database takes so many

_encode = msgspec.msgpack.Encoder().encode
_record = msgspec.msgpack.Decoder(UsageRecord).decode
_cursor = msgspec.msgpack.Decoder(Cursor).decode


@dataclass(frozen=True)
class Known:
    """A call that is in the ledger."""

    record: UsageRecord
    is_ours: bool


def name_of(name: str) -> str:
    """How a name is kept: some are long, all of them are many."""
    return hashlib.blake2b(name.encode(errors="replace"), digest_size=12).hexdigest()


def cursors(db: Orm, account_id: int) -> dict[str, Cursor]:
    """By path."""
    wanted = select(LogFile.path, LogFile.cursor).where(LogFile.account_id == account_id)
    return {path: _cursor(data) for path, data in db.exec(wanted)}


def store_cursors(db: Orm, account_id: int, moved: Mapping[str, Cursor]) -> None:
    rows = [
        {"account_id": account_id, "path": path, "cursor": _encode(cursor)}
        for path, cursor in moved.items()
    ]
    upsert(db, LogFile, ("account_id", "path"), rows)


def forget_cursors(db: Orm, account_id: int, paths: Sequence[str]) -> None:
    """Of files that are gone. Were one to come back, the ledger knows what was counted."""
    for some in _batched(paths):
        gone = delete(LogFile).where(col(LogFile.account_id) == account_id)
        db.connection().execute(gone.where(col(LogFile.path).in_(some)))


def calls_of(db: Orm, account_id: int, names: Iterable[str]) -> dict[str, int]:
    """The numbers of the calls that these kept names belong to."""
    found: dict[str, int] = {}
    for some in _batched(names):
        wanted = select(LoggedName.name, LoggedName.call_id).where(
            LoggedName.account_id == account_id, col(LoggedName.name).in_(some)
        )
        found.update((name, number) for name, number in db.exec(wanted))
    return found


def calls(db: Orm, numbers: Iterable[int]) -> dict[int, Known]:
    found: dict[int, Known] = {}
    for some in _batched(numbers):
        wanted = select(LoggedCall.id, LoggedCall.record, LoggedCall.is_ours)
        for number, data, is_ours in db.exec(wanted.where(col(LoggedCall.id).in_(some))):
            found[number or 0] = Known(_record(data), is_ours)
    return found


def latest_strangers(db: Orm, account_id: int, limit: int) -> dict[int, Known]:
    """The newest calls that were taken for others' than ours."""
    wanted = (
        select(LoggedCall.id, LoggedCall.record, LoggedCall.is_ours)
        .where(LoggedCall.account_id == account_id, col(LoggedCall.is_ours).is_(False))
        .order_by(col(LoggedCall.id).desc())
    )
    rows = db.exec(wanted.limit(limit))
    return {number or 0: Known(_record(data), is_ours) for number, data, is_ours in rows}


def next_number(db: Orm) -> int:
    """Of the next new call: there is one importer, so it counts for itself."""
    return (db.exec(select(func.max(LoggedCall.id))).one() or 0) + 1


def our_conversations(db: Orm, ids: Iterable[str]) -> dict[str, str]:
    """Those of the vendors' conversations that were ours, with our session's id."""
    found: dict[str, str] = {}
    for some in _batched(ids):
        wanted = select(Conversation.id, Conversation.session_id)
        found.update(
            (name, session_id)
            for name, session_id in db.exec(wanted.where(col(Conversation.id).in_(some)))
        )
    return found


def adopt_conversations(db: Orm, found: Mapping[str, str]) -> None:
    """Note more of the vendors' conversations (id: our session's id) as ours."""
    rows = [{"id": name, "session_id": session_id} for name, session_id in found.items()]
    upsert(db, Conversation, ("id",), rows)


def add_calls(db: Orm, account_id: int, new: Mapping[int, Known]) -> None:
    rows = [{"id": number, "account_id": account_id, **_kept(call)} for number, call in new.items()]
    if rows:
        db.connection().execute(insert(LoggedCall), rows)


def change_calls(db: Orm, changed: Mapping[int, Known]) -> None:
    rows = [{"number": number, **_kept(call)} for number, call in changed.items()]
    if rows:
        known = LoggedCall.__table__  # type: ignore[attr-defined]
        wanted = update(known).where(known.c.id == bindparam("number"))
        values: dict[str, Any] = {"record": bindparam("record"), "is_ours": bindparam("is_ours")}
        db.connection().execute(wanted.values(**values), rows)


def add_names(db: Orm, account_id: int, new: Mapping[str, int]) -> None:
    rows = [
        {"account_id": account_id, "name": name, "call_id": number} for name, number in new.items()
    ]
    if rows:
        db.connection().execute(insert(LoggedName), rows)


def add_to_minutes(db: Orm, account_id: int, sums: Mapping[tuple[str, int], Sequence[int]]) -> None:
    """Add four counters (output, input, cache write, cache read) to each model and minute."""
    rows = [
        {
            "account_id": account_id,
            "model": model,
            "minute": minute,
            "output_tokens": counters[0],
            "input_tokens": counters[1],
            "cache_write_tokens": counters[2],
            "cache_read_tokens": counters[3],
        }
        for (model, minute), counters in sums.items()
        if any(counters)
    ]
    upsert(db, OutsideMinute, ("account_id", "model", "minute"), rows, add=True)


def _kept(call: Known) -> dict[str, Any]:
    """Aliases are names, kept as such."""
    record = call.record
    if record.aliases:
        record = msgspec.structs.replace(record, aliases=())
    return {"record": _encode(record), "is_ours": call.is_ours}


def _batched(values: Iterable[Value]) -> Iterator[list[Value]]:
    """So many values at a time as fit into one query."""
    rest = iter(values)
    while some := list(islice(rest, _IN_ONE_QUERY)):
        yield some
