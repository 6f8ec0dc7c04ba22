"""Sums over the usage minutes, ours and the logs', by what a price needs: the model."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, literal
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


def of_session(db: Orm, session_id: str) -> list[Tokens]:
    """What a session used so far, by model."""
    wanted = select(col(UsageMinute.model), *_sums()).where(UsageMinute.session_id == session_id)
    return [Tokens(*row) for row in db.exec(wanted.group_by(col(UsageMinute.model)))]


def by_account(db: Orm, minute: int) -> dict[int, list[Tokens]]:
    """What each account spent on our sessions from that minute (unix time // 60) on, by model."""
    keys = (col(UsageMinute.account_id), col(UsageMinute.model))
    wanted = select(*keys, *_sums()).where(col(UsageMinute.minute) >= minute)
    spent: dict[int, list[Tokens]] = {}
    for account_id, *tokens in db.exec(wanted.group_by(*keys)):
        spent.setdefault(account_id, []).append(Tokens(*tokens))
    return spent


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


def of_agent(db: Orm, agent_id: int, first: int) -> list[Tokens]:
    """What an agent used from that minute on, by model."""
    wanted = select(col(UsageMinute.model), *_sums()).join(
        Session, col(Session.id) == col(UsageMinute.session_id)
    )
    wanted = wanted.where(Session.agent_id == agent_id, col(UsageMinute.minute) >= first)
    return [Tokens(*row) for row in db.exec(wanted.group_by(col(UsageMinute.model)))]


def titles(db: Orm, task_ids: Iterable[int]) -> dict[str, str]:
    """Of tasks, by their ids as text."""
    wanted = select(Task.id, Task.title).where(col(Task.id).in_(list(task_ids)))
    return {str(task_id): title for task_id, title in db.exec(wanted)}


def _grouped(key: Any, table: Any, first: int, end: int) -> Select[Any]:
    wanted: Select[Any] = select(key.label("key"), col(table.model), *_sums(table))
    wanted = wanted.where(col(table.minute) >= first, col(table.minute) < end)
    return wanted.group_by("key", col(table.model))


def _rows(db: Orm, wanted: Select[Any]) -> Iterator[tuple[str, Tokens]]:
    for key, model, *counters in db.connection().execute(wanted):
        yield str(key), Tokens(model, *(int(counter) for counter in counters))


def _sums(table: Any = UsageMinute) -> list[Any]:
    """Whole numbers: PostgreSQL's sums of big ones are decimals."""
    counters = (
        table.output_tokens,
        table.input_tokens,
        table.cache_write_tokens,
        table.cache_read_tokens,
    )
    return [func.sum(col(counter)) for counter in counters]
