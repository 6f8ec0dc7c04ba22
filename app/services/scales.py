"""What the balancer's policy is given: accounts as views, made from stored state only.

Meters lie: whatever they say, a view holds finite numbers, and what is not known stays unknown.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import Account, QuotaReading, Session
from app.models.base import unix_minute
from app.models.quota import BUDGET_MINUTES, WEEK_MINUTES
from app.services import capacity, logins, prices, quota, quotas
from app.services.balance import DOLLARS_PER_HOUR, AccountView, Window
from app.store import accounts, sessions, usage
from app.store import quota as readings

ASSUMED_WEEK_DOLLARS = 300.0  # a plan of middle size, where nobody knows better
ASSUMED_SHARE = 0.2  # of the week, that a throttle of unknown size holds
SHORTEST_MINUTES = 60  # shorter windows are for the vendor's program to wait for
_YOUNG_MINUTES = 10  # of a burn: a session this young has shown nothing yet


@dataclass(frozen=True)
class Scales:
    """Every account as the policy sees it, and the rows behind it."""

    now: datetime
    accounts: dict[int, Account]
    views: dict[int, AccountView]  # by account id
    burns: dict[str, float]  # dollars an hour of each session that holds a slot


def weigh_accounts(db: Orm, now: datetime) -> Scales:
    """One look at accounts, meters, live sessions and what they burn."""
    rows = {account.id or 0: account for account in accounts.every(db)}
    told = readings.by_account(db)
    at_work = sessions.occupying(db)
    burns = _burns(db, at_work, now) if at_work else {}
    closed = quotas.closed(db, rows.values(), now)
    views = {}
    for account_id, account in rows.items():
        mine = [session for session in at_work if session.account_id == account_id]
        burn = sum(burns[session.id] for session in mine)
        views[account_id] = view(
            account,
            told.get(account_id, []),
            now,
            running=len(mine),
            burn=burn,
            closed=closed[account_id],
        )
    return Scales(now, rows, views, burns)


def view(
    account: Account,
    told: list[QuotaReading],
    now: datetime,
    *,
    running: int = 0,
    burn: float = 0.0,
    closed: str = "",
) -> AccountView:
    """One account for the policy; keys and endpoints have no windows there, they are overflow."""
    return AccountView(
        id=str(account.id),
        family=logins.can(account).family or account.driver,
        windows=_windows(account, told, now) if account.auth == "subscription" else (),
        running=running,
        burn_dollars_per_hour=burn,
        limited_until=quota.refused_until(account, told, now),
        reserve=min(max(_finite(account.reserve_percent) or 0.0, 0.0), 100.0) / 100,
        closed=closed,
        is_automatic=account.is_automatic,
        models=frozenset(account.models) if account.models else None,
        max_running=account.max_running,
        rank=account.rank,
    )


def _windows(account: Account, told: list[QuotaReading], now: datetime) -> tuple[Window, ...]:
    """The windows about all use; a subscription's week that was not told is unknown, not absent."""
    windows = [
        _window(account, reading, now)
        for reading in told
        if (reading.window_minutes or 0) >= SHORTEST_MINUTES and not capacity.scope(reading.kind)
    ]
    if not any(window.is_budget for window in windows):
        week = _finite(capacity.of_account(account, told).usd) or ASSUMED_WEEK_DOLLARS
        windows.append(Window(WEEK_MINUTES, week))
    return tuple(windows)


def _window(account: Account, reading: QuotaReading, now: datetime) -> Window:
    minutes = reading.window_minutes or WEEK_MINUTES
    used, resets_at = _finite(quota.used_percent(reading, now)), reading.resets_at
    if resets_at is not None and resets_at - now > 1.1 * timedelta(minutes=minutes):
        resets_at = None  # a reset further away than the window is long says nothing
        used = None if used == 0 else used
    return Window(minutes, _dollars(account, reading, minutes), used, resets_at)


def _dollars(account: Account, reading: QuotaReading, minutes: int) -> float:
    """What the whole window holds, at list price: known, or assumed to be of middle size."""
    known = _finite(capacity.of_window(account, reading).usd)
    if known is not None and known > 0:
        return known
    week = _finite(capacity.of_account(account, [reading]).usd) or ASSUMED_WEEK_DOLLARS
    return week * minutes / WEEK_MINUTES if minutes >= BUDGET_MINUTES else week * ASSUMED_SHARE


def _burns(db: Orm, at_work: list[Session], now: datetime) -> dict[str, float]:
    """Dollars an hour of each session, from its last hour; the usual where that is not known."""
    minute = unix_minute(now)
    used = usage.recent_by_session(db, minute - 59)
    return {session.id: _burn(used.get(session.id), minute) for session in at_work}


def _burn(used: usage.Recent | None, minute: int) -> float:
    minutes = minute - used.first_minute + 1 if used else 0
    usd = prices.equivalent(used.tokens).usd if used and minutes >= _YOUNG_MINUTES else None
    return DOLLARS_PER_HOUR if usd is None else 60 * usd / minutes


def _finite(number: float | None) -> float | None:
    """The number, or None where it is none."""
    return number if number is not None and math.isfinite(number) else None
