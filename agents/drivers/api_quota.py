"""Per-minute quota windows of an API key, as response headers tell them."""

import re
from datetime import UTC, datetime, timedelta

from agents.events import Quota, QuotaWindow, utc_now

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds_of(text: str) -> float | None:
    """Seconds of "20ms", "6m0s", "1.5" (seconds); None for anything else."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[dhms])", text)
    if not parts or "".join(f"{n}{unit}" for n, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def reset_time(text: str | None) -> datetime | None:
    """When a window returns, from an RFC 3339 time, an epoch second or a duration."""
    if not text:
        return None
    try:
        if text.isdigit() and int(text) > 1_000_000_000:
            return datetime.fromtimestamp(int(text), UTC)
        if (seconds := seconds_of(text)) is not None:
            return utc_now() + timedelta(seconds=seconds)
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def minute_window(
    kind: str, limit: str | None, remaining: str | None, reset: str | None
) -> QuotaWindow | None:
    """The per-minute window that three headers tell, or None where they do not."""
    try:
        total, left = float(limit or ""), float(remaining or "")
    except ValueError:
        return None
    if total <= 0:
        return None
    used = min(max(100 * (1 - left / total), 0.0), 100.0)
    return QuotaWindow(kind, round(used, 2), 1, reset_time(reset))


def quota(windows: list[QuotaWindow], refused: bool, source: str) -> Quota | None:
    """The reading of one answer's headers; `refused` when that answer was a 429."""
    if not windows:
        return None
    full = max(window.used_percent for window in windows)
    return Quota(windows, "rejected" if refused else "warning" if full >= 90 else "allowed", source)
