"""Codex's rate limit readings, token counters and error names, in our words. Pure."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from agents.events import ErrorKind, Quota, QuotaWindow, Usage

Message = dict[str, Any]

WARNING_PERCENT = 90.0
# The service rounds "resets in N seconds" anew on each call: a few seconds are no news.
SAME_RESET_SECONDS = 120
_KINDS = {300: "five_hour", 10080: "seven_day"}
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
    """The newest reading of each window; updates are sparse, so they are merged."""

    def __init__(self) -> None:
        self._windows: dict[str, QuotaWindow] = {}
        self._told: Quota | None = None

    def update(self, snapshot: Message) -> Quota | None:
        """The merged reading, or None where it says nothing new."""
        suffix = "" if snapshot.get("limitId") in (None, "codex") else f"_{snapshot['limitId']}"
        for slot in ("primary", "secondary"):
            if window := snapshot.get(slot):
                reading = _window(window, suffix)
                self._windows[reading.kind] = reading
        if not self._windows:
            return None
        quota = Quota(
            windows=list(self._windows.values()),
            status=self._status(snapshot),
            source="app-server",
        )
        if self._told is not None and _same(self._told, quota):
            return None
        self._told = quota
        return quota

    def _status(self, snapshot: Message) -> Any:
        used = max(window.used_percent for window in self._windows.values())
        if used >= 100 or snapshot.get("rateLimitReachedType"):
            return "rejected"
        return "warning" if used >= WARNING_PERCENT else "allowed"

    def resets_at(self) -> datetime | None:
        """When the fullest window returns (the later one of two equally full), if known."""
        dated = [(w.used_percent, w.resets_at) for w in self._windows.values() if w.resets_at]
        return max(dated)[1] if dated else None


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


def _window(window: Message, suffix: str) -> QuotaWindow:
    minutes, resets_at = window.get("windowDurationMins"), window.get("resetsAt")
    return QuotaWindow(
        kind=(_KINDS.get(minutes, f"{minutes}m") if minutes else "unknown") + suffix,
        used_percent=float(window["usedPercent"]),
        window_minutes=minutes,
        resets_at=datetime.fromtimestamp(resets_at, UTC) if resets_at else None,
    )


def _same(old: Quota, new: Quota) -> bool:
    if old.status != new.status or len(old.windows) != len(new.windows):
        return False
    return all(_same_window(*pair) for pair in zip(old.windows, new.windows, strict=True))


def _same_window(old: QuotaWindow, new: QuotaWindow) -> bool:
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
