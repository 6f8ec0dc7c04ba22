"""Quota windows as bars: used, pace, where they land, and what that means in words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.models import Account
from app.services.forecast import Forecast
from app.services.gauges import WindowGauge
from app.web import format as fmt

_DAY_MINUTES = 24 * 60
_SHORT_MINUTES = 60  # a window that returns this fast is worth showing only while it is fresh
_PREFIX = re.compile(r"^(five_hour|seven_day|unknown|\d+m)_?")
_SOURCES = {"stated": "as you say", "measured": "measured", "plan": "by its plan"}


@dataclass(frozen=True)
class Bar:
    """One quota window. None is unknown, never 0; numbers are percent of the window."""

    kind: str
    label: str
    used: float | None
    elapsed: float | None  # of the window's time: the pace
    resets_at: datetime | None
    observed_at: datetime
    is_stale: bool
    is_refused: bool
    forecast: Forecast
    reserve: float  # kept for the human; 0 on throttles
    dollars: str  # what the whole window holds, in words; "" = unknown

    @property
    def risk(self) -> str:
        return self.forecast.risk

    @property
    def lands(self) -> float | None:
        return self.forecast.lands_percent if self.used is not None else None

    @property
    def landing(self) -> float:
        """How far the bar goes on from what is used to where it lands."""
        return max(0.0, min(self.lands or 0.0, 100.0) - (self.used or 0.0))

    @property
    def whisker(self) -> tuple[float, float] | None:
        """Where the spread of the landing begins and how wide it is, inside the bar."""
        if self.lands is None or not self.forecast.spread_percent:
            return None
        least = max(self.used or 0.0, self.lands - self.forecast.spread_percent)
        most = min(100.0, self.lands + self.forecast.spread_percent)
        return (least, most - least) if most > least else None

    @property
    def words(self) -> str:
        """The bar in one line, for those who do not see it."""
        used = "unknown" if self.used is None else f"{self.used:.0f}% used"
        pace = "" if self.elapsed is None else f", {self.elapsed:.0f}% of its time gone"
        lands = "" if self.lands is None else f", {self._landing_words()}"
        reserve = f", {self.reserve:.0f}% kept for you" if self.reserve else ""
        return f"{self.label}: {used}{pace}{lands}{reserve}"

    def verdict(self, now: datetime) -> str:
        """Where it lands and what of that is a loss: "lands 31% ± 4, $228 will expire in 1d 8h"."""
        loss = self.loss(now)
        if loss == "used up":
            return loss
        return f"{self._landing_words()}, {loss}" if loss else self._landing_words()

    def brief(self, now: datetime) -> str:
        """The loss alone, and where it lands where there is none."""
        return self.loss(now) or self._landing_words()

    def loss(self, now: datetime) -> str:
        """What will be lost, and when; "" where nothing is."""
        if self.risk == "dry" and self.forecast.runs_dry_at is not None:
            at = fmt.clock(self.forecast.runs_dry_at, now)
            return "used up" if at == "now" else f"runs dry {at} UTC"
        if self.risk == "expires" and self.resets_at is not None:
            usd = self.forecast.expires_usd
            unused = f"{100 - self.reserve - (self.lands or 0.0):.0f}%"
            what = fmt.usd(usd) if usd is not None else unused
            return f"{what} will expire in {fmt.left(self.resets_at - now)}"
        return ""

    def _landing_words(self) -> str:
        spread = self.forecast.spread_percent
        return f"lands {self.lands or 0.0:.0f}%" + (f" ± {spread:.0f}" if spread else "")


def bars(account: Account, gauges: Iterable[WindowGauge]) -> list[Bar]:
    """The windows worth showing, shortest first, those of unknown length last."""
    shown = [gauge for gauge in gauges if not _is_over(gauge)]
    shown.sort(key=lambda gauge: (gauge.reading.window_minutes or 10**9, gauge.reading.kind))
    return [bar(account, gauge) for gauge in shown]


def bar(account: Account, gauge: WindowGauge) -> Bar:
    row, held = gauge.reading, gauge.capacity
    is_budget = (row.window_minutes or 0) >= _DAY_MINUTES
    return Bar(
        kind=row.kind,
        label=label(row.kind, row.window_minutes),
        used=gauge.used,
        elapsed=gauge.elapsed,
        resets_at=row.resets_at if gauge.used is not None else None,
        observed_at=row.observed_at,
        is_stale=gauge.is_stale,
        is_refused=gauge.is_refused,
        forecast=gauge.forecast,
        reserve=account.reserve_percent if is_budget else 0.0,
        dollars=f"holds ≈ {fmt.usd(held.usd)} {_SOURCES[held.source]}" if held.usd else "",
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


def _is_over(gauge: WindowGauge) -> bool:
    """A short window that has returned says nothing any more."""
    minutes = gauge.reading.window_minutes
    is_short = minutes is not None and minutes < _SHORT_MINUTES
    return is_short and (gauge.used is None or gauge.is_stale)
