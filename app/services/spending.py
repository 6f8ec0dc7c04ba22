"""What each account spent in each minute, and how much of it was for reading a context again.

A context is read again when its cache is not there: in a session's first minute of use on another
account, in its first after its cache has died of silence, and in the first of a session that goes
on with another's work. What counts is that minute's fresh input and cache writes, at list price,
but never more tokens than the session had taken in and put out before. So some new reading of that
one minute is counted in.

Not covered: what a failed turn had cost (no row keeps a turn's beginning), retries inside of a
vendor's program, a context that was compacted and written anew, and outside use, of which only the
sums are known.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session as Orm

from app.services import logins
from app.services.prices import Rates, rates_of
from app.store import accounts, ladder
from app.store.ladder import Used

_MINUTE = timedelta(minutes=1)


@dataclass
class Spending:
    """Dollars at list price; `is_partial` where some tokens have no known price."""

    usd: float = 0.0
    reread_usd: float = 0.0  # part of `usd`
    is_partial: bool = False


@dataclass
class _Trail:
    """Where a session's use has come to."""

    account_id: int = 0  # 0: nowhere yet
    minute: int = 0
    tokens: int = 0


def by_minute(db: Orm, first: int, end: int) -> dict[tuple[int, int], Spending]:
    """By minute (unix time // 60) and account id, from `first` to before `end`; no use, no key."""
    rows = ladder.used(db, first, end)
    ours = {row.session_id for row in rows} - {""}
    origins = ladder.continued(db, ours)
    trails = _trails(db, ours | set(origins.values()), first)
    lives = {row.id: logins.cache_life(row) // _MINUTE for row in accounts.every(db)}
    found: dict[tuple[int, int], Spending] = defaultdict(Spending)
    for (minute, session_id), together in _by_moment(rows).items():
        trail = trails.get(session_id, _Trail())
        if trail.account_id == 0 and session_id in origins:
            trail.tokens = trails[origins[session_id]].tokens
        for account_id in dict.fromkeys(row.account_id for row in together):
            paid = [row for row in together if row.account_id == account_id]
            is_cold = minute - trail.minute > lives[account_id]
            is_again = account_id != trail.account_id or is_cold
            _add(found[minute, account_id], paid, trail.tokens if is_again else 0)
            trail.account_id, trail.minute = account_id, minute
            trail.tokens += sum(row.fresh_input + row.cache_write + row.output for row in paid)
    return dict(found)


def _by_moment(rows: list[Used]) -> dict[tuple[int, str], list[Used]]:
    moments: dict[tuple[int, str], list[Used]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.minute):
        moments[row.minute, row.session_id].append(row)
    return moments


def _trails(db: Orm, session_ids: set[str], before: int) -> dict[str, _Trail]:
    """How far the sessions had come before a minute."""
    trails = {session_id: _Trail() for session_id in session_ids}
    for past in ladder.pasts(db, session_ids, before):
        trail = trails[past.session_id]
        trail.tokens += past.tokens
        if past.minute >= trail.minute:
            trail.account_id, trail.minute = past.account_id, past.minute
    return trails


def _add(spending: Spending, rows: list[Used], known_tokens: int) -> None:
    """Add one session's use of a minute, of which at most `known_tokens` were read before."""
    taken_in = sum(row.fresh_input + row.cache_write for row in rows)
    share = min(1.0, known_tokens / taken_in) if taken_in else 0.0
    for row in rows:
        rates = rates_of(row.model)
        if rates is None:
            spending.is_partial |= bool(_total(row))
            continue
        reading = _reading(row, rates)
        spending.usd += reading + row.output * rates.output + row.cache_read * rates.cache_read
        spending.reread_usd += share * reading


def _reading(row: Used, rates: Rates) -> float:
    return row.fresh_input * rates.fresh_input + row.cache_write * rates.cache_write


def _total(row: Used) -> int:
    return row.output + row.fresh_input + row.cache_write + row.cache_read
