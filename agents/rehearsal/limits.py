"""Rate limit headers: of API keys and of subscriptions, for both protocols."""

from collections.abc import Mapping
from datetime import UTC, datetime

from agents.rehearsal.accounts import FIVE_HOURS_MINUTES, Window, minute_in
from agents.rehearsal.failures import Failure

WARNING_PERCENT = 90


def anthropic_headers(
    reported: list[Window], request: Mapping[str, str], failure: Failure | None
) -> dict[str, str]:
    """The unified headers for a subscription's token, the plain ones for an API key."""
    if request.get("authorization", "").startswith("Bearer sk-ant-oat"):
        return _unified(reported)
    out: dict[str, str] = {}
    reset = datetime.fromtimestamp(minute_in(120), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    throttled = failure is not None and failure.kind in {"429", "limited"}
    for name, limit in (("requests", 1000), ("input-tokens", 450000), ("output-tokens", 90000)):
        prefix = f"anthropic-ratelimit-{name}"
        remaining = 0 if throttled else limit * 9 // 10
        out |= {f"{prefix}-limit": str(limit), f"{prefix}-remaining": str(remaining)}
        out[f"{prefix}-reset"] = reset
    return out


def _unified(reported: list[Window]) -> dict[str, str]:
    prefix = "anthropic-ratelimit-unified"
    out: dict[str, str] = {}
    for window in reported:
        name = f"{prefix}-{_short(window)}"
        out[f"{name}-utilization"] = f"{window.percent / 100:g}"
        out[f"{name}-reset"] = str(window.reset_at)
        out[f"{name}-status"] = _status(window)
        if _status(window) == "allowed_warning":
            out[f"{name}-surpassed-threshold"] = f"{WARNING_PERCENT / 100:g}"
    if not reported:
        return out
    # The window that binds; while none does, the vendor names the shortest.
    worst = max(reported, key=lambda window: max(window.percent, WARNING_PERCENT - 1))
    claim = "five_hour" if worst.minutes == FIVE_HOURS_MINUTES else "seven_day"
    return out | {
        f"{prefix}-status": _status(worst),
        f"{prefix}-reset": str(worst.reset_at),
        f"{prefix}-representative-claim": claim,
        f"{prefix}-fallback-percentage": "0.5",
        f"{prefix}-overage-status": "rejected",
        f"{prefix}-overage-disabled-reason": "org_level_disabled",
    }


def openai_headers(
    reported: list[Window], request: Mapping[str, str], failure: Failure | None
) -> dict[str, str]:
    """The API's request and token headers, and for Codex its account's windows."""
    throttled = failure is not None and failure.kind in {"429", "limited"}
    out: dict[str, str] = {}
    for name, limit in (("requests", 500), ("tokens", 200000)):
        out[f"x-ratelimit-limit-{name}"] = str(limit)
        out[f"x-ratelimit-remaining-{name}"] = "0" if throttled else str(limit * 9 // 10)
        out[f"x-ratelimit-reset-{name}"] = "60s" if throttled else "1s"
    if "x-codex-turn-metadata" not in request:
        return out
    for window, rank in zip(reported, ("primary", "secondary"), strict=False):
        prefix = f"x-codex-{rank}"
        out[f"{prefix}-used-percent"] = str(int(window.percent))  # 99.6 is not used up
        out[f"{prefix}-window-minutes"] = str(window.minutes)
        out[f"{prefix}-reset-at"] = str(window.reset_at)
    credits = {"has-credits": "false", "unlimited": "false", "balance": "0"}
    return out | {f"x-codex-credits-{name}": value for name, value in credits.items()}


def _short(window: Window) -> str:
    return "5h" if window.minutes == FIVE_HOURS_MINUTES else "7d"


def _status(window: Window) -> str:
    if window.percent >= 100:
        return "rejected"
    return "allowed_warning" if window.percent >= WARNING_PERCENT else "allowed"
