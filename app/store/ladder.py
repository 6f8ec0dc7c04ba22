"""Queries on the rungs of past minutes, and on the use that they are measured by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import LadderMinute, OutsideMinute, Session, UsageMinute


@dataclass(frozen=True)
class Used:
    """Tokens of one session and model in one minute; `session_id` is "" for outside use."""

    session_id: str
    account_id: int
    model: str
    minute: int
    output: int
    fresh_input: int
    cache_write: int
    cache_read: int


@dataclass(frozen=True)
class Past:
    """What a session did on one account before a minute: its last minute, what it took in."""

    session_id: str
    account_id: int
    minute: int
    tokens: int  # fresh input, cache writes and output: its context cannot be larger


def last_minute(db: Orm) -> int | None:
    """The newest minute (unix time // 60) that has rungs."""
    return db.exec(select(func.max(LadderMinute.minute))).one()


def details(db: Orm, first: int, end: int) -> list[tuple[int, dict[str, Any]]]:
    """What was seen in the minutes from `first` to before `end`, oldest first."""
    minute = col(LadderMinute.minute)
    wanted = select(LadderMinute.minute, LadderMinute.detail).where(minute >= first, minute < end)
    return [(at, dict(detail)) for at, detail in db.exec(wanted.order_by(minute))]


def put(db: Orm, rows: Sequence[LadderMinute]) -> None:
    """Keep these minutes, in place of what was kept of them."""
    if not rows:
        return
    gone = delete(LadderMinute).where(col(LadderMinute.minute).in_([row.minute for row in rows]))
    db.connection().execute(gone)
    db.connection().execute(insert(LadderMinute), [row.model_dump() for row in rows])


def forget_from(db: Orm, minute: int) -> None:
    db.connection().execute(delete(LadderMinute).where(col(LadderMinute.minute) >= minute))


def used(db: Orm, first: int, end: int) -> list[Used]:
    """All use of the minutes from `first` to before `end`, ours and outside, oldest first."""
    minute = col(UsageMinute.minute)
    fields = (UsageMinute.session_id, *_fields(UsageMinute))
    ours = db.exec(select(*fields).where(minute >= first, minute < end).order_by(minute))
    rows = [Used(*row) for row in ours]
    minute = col(OutsideMinute.minute)
    others = db.exec(select(*_fields(OutsideMinute)).where(minute >= first, minute < end))
    return rows + [Used("", *row) for row in others]


def pasts(db: Orm, session_ids: Iterable[str], before: int) -> list[Past]:
    """What these sessions did before a minute, for each account that paid."""
    taken = (UsageMinute.input_tokens, UsageMinute.cache_write_tokens, UsageMinute.output_tokens)
    keys = (col(UsageMinute.session_id), col(UsageMinute.account_id))
    tokens: Any = sum(func.sum(col(counter)) for counter in taken)
    wanted = select(*keys, func.max(UsageMinute.minute), tokens).where(
        col(UsageMinute.session_id).in_(set(session_ids)), col(UsageMinute.minute) < before
    )
    return [Past(*row[:3], int(row[3])) for row in db.exec(wanted.group_by(*keys))]


def continued(db: Orm, session_ids: Iterable[str]) -> dict[str, str]:
    """Of these sessions, those that go on with another's work: whose."""
    wanted = select(Session.id, Session.continues_id).where(
        col(Session.id).in_(set(session_ids)), Session.continues_id != ""
    )
    return dict(db.exec(wanted).all())


def _fields(table: Any) -> Sequence[Any]:
    names = (
        "account_id", "model", "minute", "output_tokens", "input_tokens", "cache_write_tokens",
        "cache_read_tokens",
    )  # fmt: skip
    return [getattr(table, name) for name in names]
