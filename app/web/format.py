"""How times, counts and rates are written on every page."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

SPARK_WIDTH, SPARK_HEIGHT = 120, 24
STATE_LABELS = {
    "decoding": "decoding",
    "tool": "tool",
    "waiting_human": "waits for you",
    "waiting_quota": "waits for quota",
    "waiting_slot": "waits for a slot",
    "idle": "idle",
    "error": "error",
    "off": "off",
}


def span(delta: timedelta) -> str:
    """A duration in at most five characters: now, 14m, 1h10, 3d."""
    minutes = max(0, int(delta.total_seconds() // 60))
    if minutes < 1:
        return "now"
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02d}"
    return f"{minutes // (24 * 60)}d"


def ago(then: datetime | None, now: datetime | None = None) -> str:
    """How long since `then`; an em dash for never."""
    return "—" if then is None else span((now or datetime.now(UTC)) - then)


def until(then: datetime | None, now: datetime | None = None) -> str:
    """When something returns: "15:40 UTC, in 1h12"; a plain sentence where nobody knows."""
    if then is None:
        return "at a time the vendor did not tell"
    left = then - (now or datetime.now(UTC))
    if left.total_seconds() <= 0:
        return "any moment now"
    clock = then.strftime("%H:%M") if left < timedelta(hours=20) else then.strftime("%a %H:%M")
    return f"{clock} UTC, in {span(left)}" if span(left) != "now" else f"{clock} UTC"


def clock(then: datetime | None, now: datetime | None = None) -> str:
    """A moment to come, in UTC, in at most nine characters: "15:40", "Thu 15:00", "now"."""
    if then is None:
        return "—"
    left = then - (now or datetime.now(UTC))
    if left < timedelta(minutes=1):
        return "now"
    return then.astimezone(UTC).strftime("%H:%M" if left < timedelta(hours=20) else "%a %H:%M")


def left(delta: timedelta) -> str:
    """A duration in two units: "1d 8h", "3h 10m", "14m"."""
    minutes = max(0, int(delta.total_seconds() // 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes % 60:02d}m" if hours else f"{minutes}m"


def usd(dollars: float | None) -> str:
    """0.414 → "$0.41", 41.4 → "$41", 1234 → "$1,234"; a question mark where nobody knows."""
    if dollars is None:
        return "?"
    if 0 < dollars < 9.995:
        return f"${dollars:.2f}" if dollars >= 0.005 else "under $0.01"
    return f"${count(dollars)}"


def count(number: float) -> str:
    """1234 → "1,234"; from a hundred thousand on "123k", from ten million on "12M"."""
    if number >= 10_000_000:
        return f"{number / 1_000_000:.0f}M"
    if number >= 100_000:
        return f"{number / 1000:.0f}k"
    return f"{number:,.0f}"


def plural(number: int, noun: str, many: str = "") -> str:
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def stamp(then: datetime) -> str:
    """For a datetime attribute."""
    return then.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def spark(rates: Sequence[int], first: int = 0, last: int | None = None) -> str:
    """Points of a polyline over `rates[first:last]`, all of them scaled to the whole series."""
    top = max(max(rates, default=0), 1)
    step = SPARK_WIDTH / max(1, len(rates) - 1)
    room = SPARK_HEIGHT - 3
    return " ".join(
        f"{index * step:.1f},{SPARK_HEIGHT - 1.5 - room * rates[index] / top:.1f}"
        for index in range(first, len(rates) if last is None else last)
    )
