"""When an account's vendor is asked: at once if the human wants it, else only where it matters.

A probe starts a program, so none is made without need. While agents work, their own events keep
the readings fresh; only what they did not tell for minutes is asked for. What is kept here is of
this process's life: after a restart every rule below still holds.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session as Orm

from app.models import Account, Agent, QuotaReading
from app.models.base import utc_now
from app.services import capacity
from app.services.context import Context
from app.services.logins import has_meter, has_own_login
from app.store import accounts, agents, quota, sessions, tasks

FRESH = timedelta(minutes=5)  # a meter that told so lately is not asked
INTERVAL, JITTER = timedelta(minutes=7, seconds=30), 0.2  # 6 to 9 minutes
MOST_DOUBLINGS = 4  # of the interval, while a probe tells nothing
WATCH, WATCH_EVERY = timedelta(minutes=10), timedelta(seconds=15)
ASKED_EVERY = timedelta(seconds=2)
_LONG_MINUTES = 60  # shorter windows come with every answer, and are over before a probe


@dataclass
class Desk:
    """What one server has in hand."""

    asked: set[int] = field(default_factory=set)
    watched: dict[int, datetime] = field(default_factory=dict)  # until when
    looked: dict[int, datetime] = field(default_factory=dict)  # the last probe in this life
    rests: dict[int, datetime] = field(default_factory=dict)  # no probe by itself before
    silent: dict[int, int] = field(default_factory=dict)  # probes in a row that told no window
    refused: dict[int, datetime] = field(default_factory=dict)
    """When a session was turned away, until the login has proved itself."""


_desks: dict[str, Desk] = {}


def desk(ctx: Context) -> Desk:
    return _desks.setdefault(str(ctx.home.path), Desk())


def ask(ctx: Context, account_id: int) -> None:
    """Probe it as soon as possible: the human wants to know, or something happened."""
    here = desk(ctx)
    here.refused.pop(account_id, None)  # what its program says counts again
    here.asked.add(account_id)
    ctx.publish("probe")


def doubt(ctx: Context, account_id: int, now: datetime) -> None:
    """The service refused its login: ask, and do not take its program's word alone for it."""
    last = desk(ctx).refused.get(account_id)
    if last is None or not timedelta(0) <= now - last < WATCH:  # else it would go round and round
        ask(ctx, account_id)
    desk(ctx).refused[account_id] = now


def watch(ctx: Context, account_id: int) -> None:
    """The human was shown how to log in: look every 15 s for ten minutes, then stop."""
    desk(ctx).watched[account_id] = utc_now() + WATCH
    ask(ctx, account_id)


def note(ctx: Context, account_id: int, at: datetime, *, told: bool, is_in: bool) -> None:
    """A probe that began at `at` is over; `told`: it brought windows."""
    here = desk(ctx)
    here.looked[account_id] = at
    here.silent[account_id] = 0 if told else here.silent.get(account_id, 0) + 1
    doublings = min(max(0, here.silent[account_id] - 1), MOST_DOUBLINGS)
    rest = INTERVAL * 2**doublings * random.uniform(1 - JITTER, 1 + JITTER)
    here.rests[account_id] = at + rest
    if is_in:
        here.watched.pop(account_id, None)


def forget(ctx: Context, account_id: int) -> None:
    """The account is gone; its number may be another's one day."""
    here = desk(ctx)
    here.asked.discard(account_id)
    kept: list[dict[int, Any]] = [here.watched, here.looked, here.rests, here.silent, here.refused]
    for by_account in kept:
        by_account.pop(account_id, None)


def due(ctx: Context, now: datetime) -> list[int]:
    """The accounts to probe now, most urgent first; asking twice changes nothing."""
    here = desk(ctx)
    with ctx.db.read() as db:
        known = {account.id or 0: account for account in accounts.every(db)}
        wanted = _wanted(db, list(known.values()))
        used = {session.account_id for session in sessions.live(db)}
        readings = quota.every(db)
    here.asked &= known.keys()
    urgent = [key for key in sorted(here.asked) if _apart(here, key, now, ASKED_EVERY)]
    watched = [key for key in known if _is_watched(here, key, now)]
    others = [
        key
        for key, account in known.items()
        if _returned(account, now)
        or (
            _has_rested(here, key, now)
            and _matters(
                account,
                [row for row in readings if row.account_id == key],
                now,
                is_busy=key in used or key in wanted,
                is_new=key not in here.looked,
            )
        )
    ]
    return list(dict.fromkeys([*urgent, *watched, *others]))


def _apart(here: Desk, account_id: int, now: datetime, least: timedelta) -> bool:
    last = here.looked.get(account_id)
    return last is None or not timedelta(0) <= now - last < least  # a clock may be set back


def _is_watched(here: Desk, account_id: int, now: datetime) -> bool:
    until = here.watched.get(account_id)
    if until is None:
        return False
    if not timedelta(0) < until - now <= 2 * WATCH:  # over, or the clock was set back
        del here.watched[account_id]
        return False
    return _apart(here, account_id, now, WATCH_EVERY)


def _has_rested(here: Desk, account_id: int, now: datetime) -> bool:
    until = here.rests.get(account_id)
    longest = INTERVAL * 2**MOST_DOUBLINGS * (1 + JITTER)
    return until is None or not timedelta(0) < until - now <= longest


def _returned(account: Account, now: datetime) -> bool:
    """Its limit was over after it was asked last: is it?"""
    until, last = account.limited_until, account.probed_at
    if until is None or until > now or not has_meter(account):
        return False
    return last is None or last < until


def _matters(
    account: Account, told: list[QuotaReading], now: datetime, *, is_busy: bool, is_new: bool
) -> bool:
    """Whether an account that nobody asked about is worth a program's start."""
    can_tell = has_meter(account) or has_own_login(account)
    if account.login == "out":
        return is_new or (is_busy and can_tell)
    if account.probed_at is None:
        return can_tell
    if not has_meter(account):
        return False
    long = [row for row in told if (row.window_minutes or _LONG_MINUTES) >= _LONG_MINUTES]
    return _has_reset(long, account.probed_at, now) or (is_busy and not _is_fresh(long, now))


def _has_reset(told: list[QuotaReading], probed_at: datetime, now: datetime) -> bool:
    """A window began anew since we asked, and nothing was told of the new one."""
    ends = [row.resets_at for row in told if row.resets_at is not None]
    return any(probed_at < end <= now for end in ends)


def _is_fresh(told: list[QuotaReading], now: datetime) -> bool:
    """Both kinds of window, budgets and throttles, were told lately, where both are known."""
    newest: dict[bool, datetime] = {}
    for row in told:
        is_budget = capacity.is_budget(row)
        newest[is_budget] = max(row.observed_at, newest.get(is_budget, row.observed_at))
    return bool(newest) and all(abs(now - at) < FRESH for at in newest.values())


def _wanted(db: Orm, known: list[Account]) -> set[int]:
    """The accounts that waiting work could go to, or that it waits for."""
    wishes = tasks.wishes(db)
    workers = [agent for agent in agents.every(db) if agent.is_enabled] if wishes else []
    return {
        account.id or 0
        for account in known
        if any(_could_go(wish, agent, account) for wish in wishes for agent in workers)
    }


def _could_go(wish: tuple[int | None, int | None], agent: Agent, account: Account) -> bool:
    """Whether a task with these wanted (account, agent) could be done by the agent here."""
    wanted_account_id, wanted_agent_id = wish
    if wanted_account_id not in (None, account.id) or wanted_agent_id not in (None, agent.id):
        return False
    if agent.account_id == account.id:
        return True
    return agent.is_movable and account.is_automatic and agent.driver == account.driver
