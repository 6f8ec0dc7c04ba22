"""The accounts: their quota windows as bars, what they spent, who uses them."""

import re
import time
from dataclasses import dataclass
from datetime import datetime

from app.models import Account, QuotaReading
from app.services import prices, quota
from app.services.context import Context
from app.services.prices import Equivalent
from app.store import quota as readings
from app.store import usage
from app.store.usage import Tokens
from app.web.contexts.snapshot import Snapshot, capabilities

_DAY_MINUTES = 24 * 60
_SHORT_MINUTES = 60  # a window that returns this fast is worth showing only while it is fresh
_PREFIX = re.compile(r"^(five_hour|seven_day|unknown|\d+m)_?")


@dataclass(frozen=True)
class Bar:
    """One quota window. None is unknown, never 0."""

    kind: str
    label: str
    used: float | None  # percent
    elapsed: float | None  # percent of the window's time that has gone: the pace
    resets_at: datetime | None
    observed_at: datetime
    is_stale: bool
    is_refused: bool
    has_reset: bool  # since the reading; nothing was told of the new window yet

    @property
    def words(self) -> str:
        """The bar in one line, for those who do not see it."""
        used = "unknown" if self.used is None else f"{self.used:.0f}% used"
        pace = "" if self.elapsed is None else f", {self.elapsed:.0f}% of its time gone"
        return f"{self.label}: {used}{pace}"


@dataclass(frozen=True)
class Spend:
    """Tokens of some time, and what they would cost at list price."""

    output: int
    total: int
    cost: Equivalent


@dataclass(frozen=True)
class Card:
    account: Account
    agents: list[str]
    bars: list[Bar]
    has_meter: bool  # its driver can report windows
    is_limited: bool
    today: Spend  # since 00:00 UTC
    week: Spend  # the last seven days


def listing(ctx: Context, snap: Snapshot) -> list[Card]:
    """Every account by name; three short queries besides the snapshot."""
    minute = int(time.time()) // 60
    with ctx.db.read() as db:
        windows = readings.every(db)
        today = usage.by_account(db, minute - minute % _DAY_MINUTES)
        week = usage.by_account(db, minute - 7 * _DAY_MINUTES)
    return [
        Card(
            account=account,
            agents=[agent.name for agent in snap.agents if agent.account_id == key],
            bars=bars([row for row in windows if row.account_id == key], snap.now),
            has_meter=_has_meter(account.driver),
            is_limited=account.limited_until is not None and account.limited_until > snap.now,
            today=_spend(today.get(key, [])),
            week=_spend(week.get(key, [])),
        )
        for key, account in snap.accounts.items()
    ]


def bars(windows: list[QuotaReading], now: datetime) -> list[Bar]:
    """The windows worth showing, shortest first, those of unknown length last."""
    shown = [row for row in windows if not _is_over(row, now)]
    shown.sort(key=lambda row: (row.window_minutes or 10**9, row.kind))
    return [bar(row, now) for row in shown]


def bar(row: QuotaReading, now: datetime) -> Bar:
    used = quota.used_percent(row, now)
    return Bar(
        kind=row.kind,
        label=label(row.kind, row.window_minutes),
        used=used,
        elapsed=quota.elapsed_percent(row, now),
        resets_at=row.resets_at if used is not None else None,
        observed_at=row.observed_at,
        is_stale=quota.is_stale(row, now),
        is_refused=quota.is_refused(row, now),
        has_reset=used is None,
    )


def label(kind: str, window_minutes: int | None) -> str:
    """A window by its length, then by what it is limited to: "5 h", "week, opus"."""
    if not window_minutes or window_minutes < _SHORT_MINUTES:
        return kind.replace("_", " ")
    scope = _PREFIX.sub("", kind).replace("_", " ")
    return f"{_length(window_minutes)}, {scope}" if scope else _length(window_minutes)


def _length(minutes: int) -> str:
    if minutes == 7 * _DAY_MINUTES:
        return "week"
    if minutes % _DAY_MINUTES == 0:
        days = minutes // _DAY_MINUTES
        return "day" if days == 1 else f"{days} days"
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def _is_over(row: QuotaReading, now: datetime) -> bool:
    """A short window that has returned says nothing any more."""
    is_short = row.window_minutes is not None and row.window_minutes < _SHORT_MINUTES
    return is_short and (quota.used_percent(row, now) is None or quota.is_stale(row, now))


def _spend(tokens: list[Tokens]) -> Spend:
    return Spend(
        output=sum(row.output for row in tokens),
        total=sum(row.total for row in tokens),
        cost=prices.equivalent(tokens),
    )


def _has_meter(driver_id: str) -> bool:
    known = capabilities().get(driver_id)
    return known is not None and known.quota
