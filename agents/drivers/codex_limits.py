"""Codex's rate limit readings, token counters and error names, in our words. Pure."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from agents.drivers.readings import kind_of, minutes_of, window
from agents.events import ErrorKind, Quota, QuotaWindow, Usage, utc_now

Message = dict[str, Any]
Status = Literal["allowed", "warning", "rejected"]

MAIN_LIMIT = "codex"  # the account's own; others are families of models

WARNING_PERCENT = 90.0
# The service rounds "resets in N seconds" anew on each call: a few seconds are no news.
SAME_RESET_SECONDS = 120
_NAMED: dict[str, ErrorKind] = {
    "contextWindowExceeded": "context",
    "usageLimitExceeded": "limit",
    "sessionBudgetExceeded": "billing",
    "rateLimitExceeded": "throttle",
    "flexUnavailable": "overloaded",
    "serverOverloaded": "overloaded",
    "internalServerError": "overloaded",
    "unauthorized": "auth",
    "badRequest": "invalid",
}
# What is left when Codex itself says no more than "other".
_WORDS: tuple[tuple[str, ErrorKind], ...] = (
    ("billing", "billing"),
    ("credit balance", "billing"),
    ("insufficient_quota", "billing"),
    ("upgrade to", "billing"),
    ("high demand", "overloaded"),
    ("at capacity", "overloaded"),
    ("stream disconnected", "network"),
    ("error sending request", "network"),
    ("connection", "network"),
    ("not logged in", "auth"),
)


class Limits:
    """The newest reading of each window; updates are sparse, so what they omit is remembered.

    Only what an update told is passed on: a reading that is repeated would look fresh.
    """

    def __init__(self) -> None:
        self._slots: dict[tuple[str, str], QuotaWindow] = {}  # by limit and slot
        self._status: Status = "allowed"

    def update(self, snapshot: Message) -> Quota | None:
        """The windows that this update tells, or None where it says nothing new."""
        limit = str(snapshot.get("limitId") or MAIN_LIMIT)
        before = {slot: row for (name, slot), row in self._slots.items() if name == limit}
        told = windows_of(snapshot, before=before)
        self._slots |= {(limit, slot): row for slot, row in told.items()}
        status = self._status
        if limit == MAIN_LIMIT and told:
            own = [row for (name, _), row in self._slots.items() if name == MAIN_LIMIT]
            status = status_of(snapshot, own)
        same = all(slot in before and _same(before[slot], row) for slot, row in told.items())
        if not told or (same and status == self._status):
            return None
        self._status = status
        return Quota(list(told.values()), status=status, source="app-server")

    def resets_at(self) -> datetime | None:
        """When the fullest window returns (the later one of two equally full), if known."""
        rows = self._slots.values()
        dated = [(row.used_percent, row.resets_at) for row in rows if row.resets_at]
        return max(dated)[1] if dated else None


def windows_of(
    snapshot: Message,
    now: datetime | None = None,
    before: Mapping[str, QuotaWindow] | None = None,
) -> dict[str, QuotaWindow]:
    """The windows of one snapshot by slot, without those that ended before `now`.

    A slot says nothing of its window's length: kinds come from the length alone. What a sparse
    row omits is as it was `before` in that slot.
    """
    limit = snapshot.get("limitId")
    suffix = "" if limit in (None, MAIN_LIMIT) else f"_{limit}"
    found = {}
    for slot in ("primary", "secondary"):
        row, last = snapshot.get(slot), (before or {}).get(slot)
        if not isinstance(row, dict):
            continue
        minutes = minutes_of(row.get("windowDurationMins"))
        if minutes is None and last:
            minutes = last.window_minutes
        resets = row.get("resetsAt")
        if resets is None and last and last.window_minutes == minutes and last.resets_at:
            resets = last.resets_at.timestamp() if last.resets_at > utc_now() else None
        reading = window(kind_of(minutes) + suffix, row.get("usedPercent"), minutes, resets, now)
        if reading is not None:
            found[slot] = reading
    return found


def status_of(snapshot: Message, own: Iterable[QuotaWindow], allowed: object = None) -> Status:
    """What the account may do; `allowed` is the service's own word, which percentages are not."""
    used = max((row.used_percent for row in own), default=0.0)
    if allowed is None:
        refused = used >= 100 or bool(snapshot.get("rateLimitReachedType"))
    else:
        refused = allowed is False
    if refused or snapshot.get("spendControlReached"):
        return "rejected"
    return "warning" if used >= WARNING_PERCENT else "allowed"


def tokens(model: str, last: Message) -> Usage:
    """What one model call cost; Codex's input contains what the cache gave and took."""
    read, written = last["cachedInputTokens"], last.get("cacheWriteInputTokens", 0)
    return Usage(
        model=model,
        output_tokens=last["outputTokens"],
        input_tokens=max(0, last["inputTokens"] - read - written),
        cache_write_tokens=written,
        cache_read_tokens=read,
        reasoning_tokens=last["reasoningOutputTokens"],
    )


def error_kind(info: object, message: str) -> ErrorKind:
    """The kind of a `codexErrorInfo` (a name, or a name with a status) and its message."""
    if isinstance(info, str) and info in _NAMED:
        # An API account without credit comes under the name of a used-up plan.
        return "billing" if info == "usageLimitExceeded" and "billing" in message else _NAMED[info]
    status = _status_in(info) or _status_in_words(message)
    if status:
        return _of_status(status, message)
    for words, kind in _WORDS:
        if words in message.lower():
            return kind
    # A name with an empty status: nothing came back at all.
    return "network" if "httpStatusCode" in str(info) else "invalid"


def readable(message: str) -> str:
    """The sentence of an error that may come as the service's JSON."""
    try:
        error = msgspec.json.decode(message)["error"]
        return str(error["message"])
    except (msgspec.DecodeError, KeyError, TypeError, IndexError):
        return message


def attempts(message: str) -> tuple[int, int]:
    """Attempt and maximum out of "Reconnecting... 1/2", else (0, 0)."""
    found = re.search(r"(\d+)/(\d+)", message)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _same(old: QuotaWindow, new: QuotaWindow) -> bool:
    if (old.kind, old.used_percent) != (new.kind, new.used_percent):
        return False
    if old.resets_at is None or new.resets_at is None:
        return old.resets_at is new.resets_at
    return abs((new.resets_at - old.resets_at).total_seconds()) < SAME_RESET_SECONDS


def _status_in(info: object) -> int:
    details = next(iter(info.values()), None) if isinstance(info, dict) else None
    return (details.get("httpStatusCode") or 0) if isinstance(details, dict) else 0


def _status_in_words(message: str) -> int:
    found = re.search(r"(?:unexpected|last) status:? (\d{3})", message)
    return int(found[1]) if found else 0


def _of_status(status: int, message: str) -> ErrorKind:
    if status in (401, 403):
        return "auth"
    if status == 402 or "insufficient_quota" in message:
        return "billing"
    if status == 429:
        return "throttle"
    if status == 408:
        return "network"
    return "overloaded" if status >= 500 else "invalid"
