"""What was spent, by whom, on what, when: tokens, and dollars at list price. Stored sums only."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session as Orm

from app.errors import Invalid
from app.models.base import day_start, unix_minute
from app.services.memory import memory
from app.services.prices import Equivalent, equivalent
from app.store import accounts, agents, usage
from app.store.usage import Tokens

BYS = ("account", "agent", "task", "model", "session", "hour")
OUTSIDE = "outside"  # the key of what no agent, task or session of ours used
_OUTSIDE_LABEL = "outside Quarterdeck"
_NO_MODEL = "unknown model"
_SUMMED_MINUTES = 10
_END_OF_TIME = 2**31 - 1  # a minute that never comes


@dataclass(frozen=True)
class Spent:
    """Tokens of one account, agent, task, model, session or hour. The counters do not overlap."""

    key: str  # an id, a model, or an hour (unix time // 3600), as text
    label: str
    output: int
    fresh_input: int
    cache_write: int
    cache_read: int
    usd: Equivalent

    @property
    def total(self) -> int:
        return self.output + self.fresh_input + self.cache_write + self.cache_read


def spent(
    db: Orm, *, by: str, since: datetime, until: datetime, with_outside: bool = True
) -> list[Spent]:
    """What was spent in whole minutes from `since` to `until`: dearest first, hours in order.

    What the vendors' logs tell of use outside of our sessions is in, unless it is left out.
    """
    if by not in BYS:
        raise Invalid(f"Usage is told by {', '.join(BYS)}; not by {by[:40]!r}.")
    first, end = unix_minute(since), math.ceil(until.timestamp() / 60)
    found: dict[str, list[Tokens]] = {}
    for key, tokens in usage.ours(db, by, first, end):
        found.setdefault(key, []).append(tokens)
    if with_outside:
        for key, tokens in usage.outside(db, by, first, end):
            if tokens.total:
                found.setdefault(key if key or by == "model" else OUTSIDE, []).append(tokens)
    labels = _labels(db, by, list(found))
    rows = [_spent(key, labels.get(key, key), tokens) for key, tokens in found.items()]
    if by == "hour":
        return sorted(rows, key=lambda row: int(row.key))
    return sorted(rows, key=lambda row: (-(row.usd.usd or 0), -row.total, row.key))


def today(db: Orm, by: str, now: datetime) -> dict[int, list[Tokens]]:
    """What our sessions used since 00:00 UTC, by the id of the `account` or `agent`.

    Asked every few seconds: what is older than some minutes is summed once in ten minutes.
    """
    start = unix_minute(day_start(now))
    edge = max(unix_minute(now) // _SUMMED_MINUTES * _SUMMED_MINUTES, start)

    def make() -> dict[int, list[Tokens]]:
        return _by_id(db, by, start, edge)

    settled: dict[int, list[Tokens]] = memory(db).keep(("today", by), (start, edge), make)
    used = {key: list(tokens) for key, tokens in settled.items()}
    for key, tokens in _by_id(db, by, edge, _END_OF_TIME).items():
        used.setdefault(key, []).extend(tokens)
    return used


def spent_today(db: Orm, now: datetime) -> dict[int, float | None]:
    """Dollars since 00:00 UTC by account id; None where no price is known, no key for no use."""
    return {key: equivalent(tokens).usd for key, tokens in today(db, "account", now).items()}


def agent_today(db: Orm, agent_id: int, now: datetime) -> tuple[int, Equivalent]:
    """Output tokens and dollars of an agent since 00:00 UTC."""
    used = today(db, "agent", now).get(agent_id, [])
    return sum(tokens.output for tokens in used), equivalent(used)


def _by_id(db: Orm, by: str, first: int, end: int) -> dict[int, list[Tokens]]:
    found: dict[int, list[Tokens]] = {}
    for key, tokens in usage.ours(db, by, first, end) if first < end else ():
        found.setdefault(int(key), []).append(tokens)
    return found


def _spent(key: str, label: str, used: list[Tokens]) -> Spent:
    return Spent(
        key,
        label,
        output=sum(tokens.output for tokens in used),
        fresh_input=sum(tokens.fresh_input for tokens in used),
        cache_write=sum(tokens.cache_write for tokens in used),
        cache_read=sum(tokens.cache_read for tokens in used),
        usd=equivalent(used),
    )


def _labels(db: Orm, by: str, keys: list[str]) -> dict[str, str]:
    """What a human calls the keys; a key without a label is its own."""
    known = {OUTSIDE: _OUTSIDE_LABEL} if by in ("agent", "task", "session") else {}
    if by == "account":
        return known | {str(account.id): account.name for account in accounts.every(db)}
    if by == "agent":
        return known | {str(agent.id): agent.name for agent in agents.every(db)}
    if by == "task":
        return known | usage.titles(db, [int(key) for key in keys if key != OUTSIDE])
    if by == "hour":
        return {
            key: f"{datetime.fromtimestamp(int(key) * 3600, UTC):%Y-%m-%d %H:%M}" for key in keys
        }
    return {"": _NO_MODEL} if by == "model" else known
