"""The gauges of the house from stored state: the strip, and every window with its forecast.

Dollars are at list price. Drawn up to four times a second: histories are remembered, and a
forecast is made once a minute for each reading.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import Account, QuotaReading
from app.models.base import unix_minute
from app.services import capacity, histories, prices, quota
from app.services.capacity import Capacity
from app.services.forecast import Forecast, forecast
from app.services.memory import memory
from app.services.prices import Equivalent
from app.services.throughput import Expired, Series, expired, heat, tokens
from app.store import accounts, tasks
from app.store import gauges as ledgers
from app.store import quota as readings
from app.store.usage import Tokens

__all__ = [
    "Dry",
    "Expired",
    "Series",
    "Strip",
    "WindowGauge",
    "expired",
    "heat",
    "strip",
    "tokens",
    "windows",
]

BURN_MINUTES = 15  # of full minutes that dollars an hour are told from
EXPIRES_SOON = timedelta(hours=24)
_KEPT_DAYS = 2  # a window that ended so long ago, and is not told any more, is not shown


@dataclass(frozen=True)
class WindowGauge:
    """One window as it is drawn. None is unknown, never 0."""

    reading: QuotaReading
    used: float | None  # percent
    elapsed: float | None  # percent of the window's time that has gone: the pace tick
    capacity: Capacity  # of the whole window
    forecast: Forecast
    is_budget: bool  # a day or longer: expires unused; else a throttle
    is_binding: bool  # the account's one budget that its capacity and its dollars are told from
    scope: str  # what the window is limited to; "" = all use
    is_stale: bool
    is_refused: bool
    has_reset: bool  # since the reading; nothing was told of the new window yet
    age_seconds: float


@dataclass(frozen=True)
class Dry:
    """A window that will reach 100 % before it resets, or has."""

    account_id: int
    account: str
    kind: str
    at: datetime
    returns_at: datetime | None


@dataclass(frozen=True)
class Strip:
    """What the top of every page says of the house's throughput.

    `expiring_usd`, "at risk", are the dollars that expire unused within 24 hours if work goes on
    as it did: of every account whose budget resets until then, capacity x (100 % - forecast
    landing - reserve). Unknown (None) where such budgets are, but none has a known capacity and
    forecast; 0 where none resets so soon.
    """

    usd_per_hour: Equivalent  # of our sessions, over the last 15 full minutes
    output_per_minute: float  # tokens of our sessions: the last sixty seconds
    cache_read_percent: float | None  # of the input of these 15 minutes; None: there was none
    expiring_usd: float | None
    expiring_is_partial: bool  # other budgets reset within 24 hours whose dollars are unknown
    expiring_account: str  # the one with most of it; "" = none
    dry: Dry | None  # the first to run dry
    parked: int  # tasks that wait for quota
    resumes_at: datetime | None  # when the first of them may go on; None: unknown, or none waits


@dataclass
class _Expiring:
    dollars: dict[str, float] = field(default_factory=dict)
    unknown: int = 0


def windows(db: Orm, now: datetime) -> dict[int, list[WindowGauge]]:
    """Every account's windows (id to gauges), shortest first; accounts without a meter have []."""
    told = readings.by_account(db)
    return {
        account.id or 0: _drawn(db, account, told.get(account.id or 0, []), now)
        for account in accounts.every(db)
    }


def of_account(db: Orm, account: Account, now: datetime) -> list[WindowGauge]:
    """One account's windows, shortest first."""
    return _drawn(db, account, readings.of_account(db, account.id or 0), now)


def strip(db: Orm, now: datetime, drawn: dict[int, list[WindowGauge]] | None = None) -> Strip:
    """The strip's facts; `drawn` are the windows, where the caller has them already."""
    gauges = windows(db, now) if drawn is None else drawn
    names = {account.id or 0: account.name for account in accounts.every(db)}
    minute = unix_minute(now)
    used = ledgers.since(db, minute - BURN_MINUTES)
    whole = [spent for at, spent in used if at < minute]
    per_minute: dict[int, int] = {}
    for at, spent in used:
        per_minute[at] = per_minute.get(at, 0) + spent.output
    expiring = _expiring(gauges, names, now)
    waiting = tasks.parked(db)
    return Strip(
        usd_per_hour=_hourly(prices.equivalent(whole)),
        output_per_minute=per_minute.get(minute, 0)
        + per_minute.get(minute - 1, 0) * (1 - now.second // 10 / 6),
        cache_read_percent=_cache_percent(whole),
        expiring_usd=sum(expiring.dollars.values())
        if expiring.dollars or not expiring.unknown
        else None,
        expiring_is_partial=expiring.unknown > 0,
        expiring_account=max(expiring.dollars, key=lambda name: expiring.dollars[name])
        if any(expiring.dollars.values())
        else "",
        dry=_first_dry(gauges, names),
        parked=len(waiting),
        resumes_at=waiting[0] if waiting else None,
    )


def _drawn(db: Orm, account: Account, rows: list[QuotaReading], now: datetime) -> list[WindowGauge]:
    binding = capacity.binding(rows)
    shown = [row for row in rows if not _is_gone(row, now)]
    shown.sort(key=lambda row: (row.window_minutes or 10**9, row.kind))
    return [_gauge(db, account, row, row is binding, now) for row in shown]


def _gauge(
    db: Orm, account: Account, row: QuotaReading, is_binding: bool, now: datetime
) -> WindowGauge:
    held = capacity.of_window(account, row)
    used = quota.used_percent(row, now)
    return WindowGauge(
        reading=row,
        used=used,
        elapsed=quota.elapsed_percent(row, now),
        capacity=held,
        forecast=_forecast(db, account, row, held, now),
        is_budget=capacity.is_budget(row),
        is_binding=is_binding,
        scope=capacity.scope(row.kind),
        is_stale=quota.is_stale(row, now),
        is_refused=quota.is_refused(row, now),
        has_reset=used is None,
        age_seconds=max((now - row.observed_at).total_seconds(), 0.0),
    )


def _forecast(
    db: Orm, account: Account, row: QuotaReading, held: Capacity, now: datetime
) -> Forecast:
    """Made anew when the reading, the minute or the house's word changes."""
    told = (row.used_percent, row.window_minutes, row.resets_at, row.status, row.refused_until)
    key = (*told, row.observed_at, held.usd, account.reserve_percent, unix_minute(now))

    remembered = memory(db)

    def make() -> Forecast:
        reserve = account.reserve_percent
        with remembered.lock:  # others extend the same history
            track = histories.track(db, row, now)
            return forecast(row, track, now, capacity_usd=held.usd, reserve=reserve)

    name = ("forecast", row.account_id, row.kind)
    found: Forecast = remembered.keep(name, key, make)
    return found


def _is_gone(row: QuotaReading, now: datetime) -> bool:
    """A window that ended and was not told since: a short one at once, others after days."""
    if row.resets_at is None:
        return (now - row.observed_at).days >= 7
    short = timedelta(0) if (row.window_minutes or 0) < 60 else timedelta(days=_KEPT_DAYS)
    return row.resets_at + short <= now and row.window_minutes is not None


def _expiring(
    gauges: dict[int, list[WindowGauge]], names: dict[int, str], now: datetime
) -> _Expiring:
    found = _Expiring()
    for account_id, row in gauges.items():
        for gauge in row:
            resets_at = gauge.reading.resets_at
            if not gauge.is_binding or resets_at is None or gauge.has_reset:
                continue
            if resets_at - now <= EXPIRES_SOON:
                if gauge.forecast.expires_usd is None:
                    found.unknown += 1
                else:
                    found.dollars[names.get(account_id, "")] = gauge.forecast.expires_usd
    return found


def _first_dry(gauges: dict[int, list[WindowGauge]], names: dict[int, str]) -> Dry | None:
    dry = [
        Dry(
            account_id,
            names.get(account_id, ""),
            gauge.reading.kind,
            gauge.forecast.runs_dry_at,
            gauge.reading.resets_at,
        )
        for account_id, row in gauges.items()
        for gauge in row
        if gauge.forecast.runs_dry_at is not None
    ]
    return min(dry, key=lambda one: one.at, default=None)


def _hourly(cost: Equivalent) -> Equivalent:
    hourly = None if cost.usd is None else cost.usd * 60 / BURN_MINUTES
    return Equivalent(hourly, cost.is_partial)


def _cache_percent(used: list[Tokens]) -> float | None:
    read = sum(tokens.cache_read for tokens in used)
    total = read + sum(tokens.fresh_input + tokens.cache_write for tokens in used)
    return 100 * read / total if total else None
