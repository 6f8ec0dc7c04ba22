"""Sums over the usage minutes, by what a price needs: the model."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import UsageMinute


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


def _sums() -> list[Any]:
    counters = (
        UsageMinute.output_tokens,
        UsageMinute.input_tokens,
        UsageMinute.cache_write_tokens,
        UsageMinute.cache_read_tokens,
    )
    return [func.sum(col(counter)) for counter in counters]
