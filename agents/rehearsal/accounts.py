"""Who pays at the rehearsal server, and meters that climb as tokens are sent. Owns their state."""

import math
import time
from collections.abc import Iterator, Mapping

import msgspec

from agents.rehearsal.failures import Failure
from agents.rehearsal.scenario import Limits

FIVE_HOURS_MINUTES, SEVEN_DAYS_MINUTES = 300, 10_080


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription or key: its windows stand above any scenario's."""

    limits: Limits = Limits()
    email: str = "someone@example.invalid"
    plan: str = "pro"  # as its vendor calls it


class Window(msgspec.Struct, frozen=True):
    """One quota window as it is reported."""

    minutes: int
    percent: float
    reset_at: int


class _Row(msgspec.Struct, frozen=True):
    minutes: int
    percent: float | None
    seconds: float
    tokens: int | None


class _Running(msgspec.Struct):
    """A window that moves: `percent` so far, until `reset_at` (epoch seconds)."""

    percent: float
    reset_at: int


def credential(headers: Mapping[str, str]) -> str:
    """Who pays for this request: an account's id, a key or a token; "" where nothing tells."""
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    return headers.get("chatgpt-account-id") or headers.get("x-api-key") or bearer


class Meters:
    """The windows of every credential that was seen."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self.accounts = dict(accounts)
        self._running: dict[tuple[str, int], _Running] = {}
        self._latest: dict[str, Limits] = {}  # what the credential's last request went by
        self._refused: dict[str, Failure] = {}  # by a scenario, until it lifts

    def limits(self, who: str, scenario: Limits) -> Limits:
        """The account's own limits, else the scenario's; remembered for `latest`."""
        known = self.accounts.get(who)
        self._latest[who] = known.limits if known else scenario
        return self._latest[who]

    def latest(self, who: str, default: Limits) -> list[Window]:
        """The windows as a meter that is asked tells them."""
        known = self.accounts.get(who)
        limits = known.limits if known else self._latest.get(who, default)
        failure = self._refused.get(who)
        return self.windows(who, limits, failure if failure and _is_on(failure) else None)

    def windows(self, who: str, limits: Limits, failure: Failure | None) -> list[Window]:
        """The windows as headers report them; five hours are full where a scenario says so."""
        is_scripted = failure is not None and failure.kind == "limited"
        limited = failure if is_scripted and self.refusal(who, limits) is None else None
        found = []
        for row in _rows(limits):
            if limited and row.minutes == FIVE_HOURS_MINUTES:
                self._refused[who] = limited
                found.append(Window(row.minutes, 100, int(limited.reset_at)))
            elif row.percent is None:
                continue
            elif row.tokens is None:
                found.append(Window(row.minutes, row.percent, minute_in(row.seconds)))
            else:
                running = self._window(who, row)
                percent = round(min(running.percent, 100), 2)
                found.append(Window(row.minutes, percent, running.reset_at))
        return found

    def spend(self, who: str, limits: Limits, tokens: int) -> None:
        """Move the credential's windows by so many tokens, of all four kinds."""
        for row in _rows(limits):
            if row.tokens is not None and row.percent is not None:
                self._window(who, row).percent += 100 * tokens / row.tokens

    def refusal(self, who: str, limits: Limits) -> Failure | None:
        """The limit that a full window is, until its reset."""
        full = [
            running.reset_at
            for row in _rows(limits)
            if row.tokens is not None
            and row.percent is not None
            and (running := self._window(who, row)).percent >= 100
        ]
        return Failure("limited", reset_at=max(full)) if full else None

    def _window(self, who: str, row: _Row) -> _Running:
        """It starts when it is first looked at, and anew at 0 % after each reset."""
        now, key = time.time(), (who, row.minutes)
        running = self._running.get(key)
        if running is None:
            running = _Running(row.percent or 0, math.ceil(now + row.seconds))
            self._running[key] = running
        elif now >= running.reset_at:
            running.percent, running.reset_at = 0, math.ceil(now + row.seconds)
        return running


def minute_in(seconds: float) -> int:
    """Windows end at a whole minute, so that repeated answers name one reset and not many."""
    return int((time.time() + seconds) // 60 * 60)


def _rows(limits: Limits) -> Iterator[_Row]:
    yield _Row(
        FIVE_HOURS_MINUTES,
        limits.five_hour_percent,
        limits.five_hour_resets_in_seconds,
        limits.five_hour_tokens,
    )
    yield _Row(
        SEVEN_DAYS_MINUTES,
        limits.seven_day_percent,
        limits.seven_day_resets_in_seconds,
        limits.seven_day_tokens,
    )


def _is_on(failure: Failure) -> bool:
    return failure.reset_at > time.time()
