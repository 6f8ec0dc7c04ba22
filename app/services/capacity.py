"""How much a quota window holds, in dollars at list price, and who says so.

Vendors publish no sizes. The human's own word counts first, then what was measured, then the
plan's prior; else it is unknown. Windows are told apart by their length, never by their slot.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from app.models import Account, QuotaReading
from app.models.quota import BUDGET_MINUTES, WEEK_MINUTES, slot_of
from app.services import logins, slopes
from app.services.context import Context
from app.services.prices import equivalent
from app.store import accounts, quota
from app.store import gauges as ledgers

Source = Literal["stated", "measured", "plan", "unknown"]

_SHORT_MINUTES = 300  # what `Plan.short_usd` is about
_METERED_MINUTES = 60  # shorter windows are about requests, not about dollars
_UNTOLD = timedelta(days=1)  # a budget that others outlive so long has another name now
_SCOPED = re.compile(r"^(?:five_hour|seven_day|unknown|\d+m)_(.+)$")

_LEARN_DAYS = 14
_LEARN_LAG = timedelta(minutes=20)  # other programs' logs come in every ten minutes
_NEWS = 0.005  # a change smaller than half a percent is not written


@dataclass(frozen=True)
class Capacity:
    """Dollars at list price that a whole window holds; `usd` is None where nobody knows."""

    usd: float | None
    source: Source


UNKNOWN = Capacity(None, "unknown")


def is_budget(reading: QuotaReading) -> bool:
    """Whether the window is what expires unused (a day or longer), rather than a throttle."""
    return (reading.window_minutes or 0) >= BUDGET_MINUTES


def scope(kind: str) -> str:
    """What a window is limited to, a model for example; "" = it is about all use."""
    found = _SCOPED.match(kind)
    return found.group(1) if found else ""


def of_window(account: Account, reading: QuotaReading) -> Capacity:
    """What the whole window holds. A window of some models only is known where it was measured."""
    minutes = reading.window_minutes or 0
    measured = _positive(reading.capacity_usd)
    if scope(reading.kind) or minutes < _METERED_MINUTES:
        return Capacity(measured, "measured") if measured else UNKNOWN
    stated = _positive(account.week_usd) if is_budget(reading) else None
    if stated:
        return Capacity(stated * minutes / WEEK_MINUTES, "stated")
    if measured:
        return Capacity(measured, "measured")
    plan = logins.plan_of(account)
    if plan is None:
        return UNKNOWN
    if is_budget(reading):
        return _prior(plan.week_usd, minutes / WEEK_MINUTES)
    return _prior(plan.short_usd, minutes / _SHORT_MINUTES)


def of_account(account: Account, readings: Iterable[QuotaReading]) -> Capacity:
    """What a week of the account holds, by its budget; also before its meter told anything."""
    stated, plan = _positive(account.week_usd), logins.plan_of(account)
    if stated:
        return Capacity(stated, "stated")
    budget = binding(readings)
    if budget is not None and budget.window_minutes and not scope(budget.kind):
        held = of_window(account, budget)
        weeks = budget.window_minutes / WEEK_MINUTES
        return Capacity(held.usd / weeks if held.usd is not None else None, held.source)
    return _prior(plan.week_usd, 1.0) if plan else UNKNOWN


def binding(readings: Iterable[QuotaReading]) -> QuotaReading | None:
    """The budget that is about all use, of those still told: the fullest. None: none was told."""
    budgets = [reading for reading in readings if is_budget(reading)]
    budgets = [reading for reading in budgets if not scope(reading.kind)] or budgets
    if not budgets:
        return None
    newest = max(reading.observed_at for reading in budgets)
    told = [reading for reading in budgets if newest - reading.observed_at <= _UNTOLD]
    return max(told, key=lambda reading: (reading.used_percent, reading.kind))


def learn(ctx: Context, now: datetime) -> int:
    """Measure what windows hold from what was spent while their meters rose; how many changed.

    Only windows about all use; a measure once made stays until there is a better one. Sees our
    sessions and imported logs: what the human spends where we cannot see it makes the window look
    smaller, unless it is most of the use (then nothing is learned).
    """
    with ctx.db.read() as db:
        known = {account.id: account for account in accounts.every(db)}
        windows = [
            row
            for row in quota.every(db)
            if row.account_id in known and _is_learned(row) and _has_news(row, now)
        ]
    measured: dict[tuple[int, str], float] = {}
    for account_id in {row.account_id for row in windows}:
        rows = [row for row in windows if row.account_id == account_id]
        for row, usd in _measure(ctx, account_id, rows, now):
            if row.capacity_usd is None or abs(usd - row.capacity_usd) > _NEWS * row.capacity_usd:
                measured[account_id, row.kind] = usd
    if measured:
        with ctx.db.write() as db:
            for (account_id, kind), usd in measured.items():
                if reading := quota.reading(db, account_id, kind):
                    reading.capacity_usd = usd
                    db.add(reading)
    return len(measured)


def _is_learned(reading: QuotaReading) -> bool:
    return (reading.window_minutes or 0) >= _METERED_MINUTES and not scope(reading.kind)


def _has_news(reading: QuotaReading, now: datetime) -> bool:
    return reading.capacity_usd is None or now - reading.observed_at < timedelta(days=1)


def _measure(
    ctx: Context, account_id: int, rows: list[QuotaReading], now: datetime
) -> list[tuple[QuotaReading, float]]:
    first, end = slot_of(now - timedelta(days=_LEARN_DAYS)), slot_of(now - _LEARN_LAG)
    with ctx.db.read() as db:
        used = ledgers.by_slot(db, account_id, first)
        told = [quota.points(db, account_id, row.kind, first) for row in rows]
    spent: dict[int, float | None] = {}
    for slot, tokens in used.items():
        cost = equivalent(tokens)
        spent[slot] = None if cost.is_partial else cost.usd
    found = []
    for row, points in zip(rows, told, strict=True):
        usd = slopes.capacity_usd([point for point in points if point[0] < end], spent)
        if usd is not None:
            found.append((row, usd))
    return found


def _prior(usd: float, share: float) -> Capacity:
    known = _positive(usd)
    return Capacity(known * share, "plan") if known else UNKNOWN


def _positive(usd: float | None) -> float | None:
    return usd if usd is not None and math.isfinite(usd) and usd > 0 else None
