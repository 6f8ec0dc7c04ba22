"""Accounts as a table for the terminal: a line for each window, then what needs the human."""

from datetime import UTC, datetime
from typing import Any

from app import show

COLUMNS = (
    *("account", "driver", "login", "plan", "window", "used", "pace", "resets in", "read", "rules"),
)
_BLANK = " "  # an empty cell, where "-" would say that something is not known


def print_accounts(accounts: list[dict[str, Any]]) -> None:
    """The table, then a sentence for every account that is closed or has a problem."""
    ordered = sorted(accounts, key=lambda account: (account["rank"], account["name"]))
    show.table(COLUMNS, [row for account in ordered for row in _rows(account)])
    for account in ordered:
        if says := account["closed"] or account["login_problem"]:
            show.line(f"! {account['name']}: {says}")


def _rows(account: dict[str, Any]) -> list[tuple[object, ...]]:
    windows = sorted(account["windows"], key=lambda window: window["window_minutes"] or 10**9)
    cells = [_window(window) for window in windows] or [("", "", "", "", "")]
    first = (account["name"], _driver(account), _login(account), _plan(account))
    rows: list[tuple[object, ...]] = [(*first, *cells[0], _rules(account))]
    return rows + [(*[_BLANK] * 4, *cell, _BLANK) for cell in cells[1:]]


def _driver(account: dict[str, Any]) -> str:
    return f"{account['driver']} (rehearsed)" if account["is_rehearsal"] else account["driver"]


def _login(account: dict[str, Any]) -> str:
    if account["login"] == "out":
        return "OUT"
    if account["login"] == "in":
        return account["identity"] or "in"
    return f"${account['secret_env']}" if account["secret_env"] else account["base_url"]


def _plan(account: dict[str, Any]) -> str:
    price = account["price_usd_month"]
    plan = account["plan"] or ("key" if account["auth"] == "api_key" else "")
    return f"{plan} ${price:g}".strip() if price is not None else plan


def _window(window: dict[str, Any]) -> tuple[object, ...]:
    used, pace = window["used_percent"], window["elapsed_percent"]
    refused = ", refused" if window["is_refused"] else ""
    return (
        window["kind"].replace("_", " "),
        ("?" if used is None else f"{used:.0f}%") + refused,
        "" if pace is None else f"{pace:.0f}%",
        "" if used is None else left(window["resets_at"]),
        f"{show.ago(window['observed_at'])} ago",
    )


def _rules(account: dict[str, Any]) -> str:
    said = [
        account["limited_until"] and left(account["limited_until"]),
        f"keeps {account['reserve_percent']:g}%" if account["reserve_percent"] else "",
        "" if account["is_automatic"] else "by hand only",
        f"${account['daily_cap_usd']:g} a day" if account["daily_cap_usd"] is not None else "",
        f"{account['max_running']} at a time" if account["max_running"] is not None else "",
        f"only {', '.join(account['models'])}" if account["models"] else "",
    ]
    said[0] = f"returns in {said[0]}" if said[0] else ""
    return ", ".join(word for word in said if word) or _BLANK


def left(moment: str | None) -> str:
    """How long until an ISO time: `2 d 4 h`, `3 h 12 min`, `5 min`; "" where it is over."""
    if not moment:
        return ""
    minutes = int((datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds() // 60) + 1
    if minutes <= 0:
        return ""
    days, hours = minutes // 1440, minutes // 60
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
