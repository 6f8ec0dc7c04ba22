"""Sums over the usage minutes, ours and the logs', by what a price needs: the model."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Select, cast, func, literal
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import OutsideMinute, Session, Task, UsageMinute

MINUTES_IN_HOUR = 60


@dataclass(frozen=True)
class Tokens:
    """Tokens of one model. The four counters do not overlap."""

    model: str
    output: int
    fresh_input: int
    cache_write: int
    cache_read: int

    @property
    def total(self) -> int:
        return self.output + self.fresh_input + self.cache_write + self.cache_read


@dataclass
class Recent:
    """What a session used of late, and when that began (unix time // 60)."""

    first_minute: int
    tokens: list[Tokens] = field(default_factory=list)  # by model


def of_session(db: Orm, session_id: str) -> list[Tokens]:
    """What a session used so far, by model."""
    wanted = select(col(UsageMinute.model), *sums()).where(UsageMinute.session_id == session_id)
    return [Tokens(*row) for row in db.exec(wanted.group_by(col(UsageMinute.model)))]


def ours(db: Orm, by: str, first: int, end: int) -> Iterator[tuple[str, Tokens]]:
    """Use in our sessions from minute `first` to before `end`, by (key, model).

    The key is the text of an id (of an account, agent, task or session), of a model, or of an
    hour (unix time // 3600).
    """
    key: Any = {
        "account": col(UsageMinute.account_id),
        "agent": col(Session.agent_id),
        "task": col(Session.task_id),
        "session": col(UsageMinute.session_id),
        "model": col(UsageMinute.model),
        "hour": col(UsageMinute.minute) // MINUTES_IN_HOUR,
    }[by]
    wanted = _grouped(key, UsageMinute, first, end)
    if by in ("agent", "task"):
        wanted = wanted.join(Session, col(Session.id) == col(UsageMinute.session_id))
    return _rows(db, wanted)


def outside(db: Orm, by: str, first: int, end: int) -> Iterator[tuple[str, Tokens]]:
    """The same of use outside of our sessions; the key is "" for agent, task and session."""
    key: Any = {
        "account": col(OutsideMinute.account_id),
        "model": col(OutsideMinute.model),
        "hour": col(OutsideMinute.minute) // MINUTES_IN_HOUR,
    }.get(by, literal(""))
    return _rows(db, _grouped(key, OutsideMinute, first, end))


def recent_by_session(db: Orm, minute: int) -> dict[str, Recent]:
    """What every session used from that minute (unix time // 60) on."""
    keys = (col(UsageMinute.session_id), col(UsageMinute.model))
    wanted = select(*keys, func.min(UsageMinute.minute), *sums())
    wanted = wanted.where(col(UsageMinute.minute) >= minute).group_by(*keys)
    found: dict[str, Recent] = {}
    for row in db.connection().execute(wanted):
        session_id, model, first = row[0], row[1], row[2]
        used = found.setdefault(session_id, Recent(first))
        used.first_minute = min(used.first_minute, first)
        used.tokens.append(Tokens(model, *map(int, row[3:])))
    return found


def titles(db: Orm, task_ids: Iterable[int]) -> dict[str, str]:
    """Of tasks, by their ids as text."""
    wanted = select(Task.id, Task.title).where(col(Task.id).in_(list(task_ids)))
    return {str(task_id): title for task_id, title in db.exec(wanted)}


def _grouped(key: Any, table: Any, first: int, end: int) -> Select[Any]:
    wanted: Select[Any] = select(key.label("key"), col(table.model), *sums(table))
    wanted = wanted.where(col(table.minute) >= first, col(table.minute) < end)
    return wanted.group_by("key", col(table.model))


def _rows(db: Orm, wanted: Select[Any]) -> Iterator[tuple[str, Tokens]]:
    for key, model, *counters in db.connection().execute(wanted):
        yield str(key), Tokens(model, *counters)


def sums(table: Any = UsageMinute) -> list[Any]:
    """The four sums to select, in the order of `Tokens`."""
    counters = (
        table.output_tokens,
        table.input_tokens,
        table.cache_write_tokens,
        table.cache_read_tokens,
    )
    # As they are: PostgreSQL's sums of big whole numbers are decimals.
    return [cast(func.sum(col(counter)), BigInteger) for counter in counters]
