"""The human's rules for an account, checked: plan, price, reserve, caps, order."""

import math
import re
from collections.abc import Iterable
from typing import Any

from agents.base import Capabilities, Plan
from app.errors import Invalid

RULES = (
    "plan",
    "price_usd_month",
    "week_usd",
    "reserve_percent",
    "is_automatic",
    "models",
    "daily_cap_usd",
    "max_running",
    "rank",
)
PLACES = ("config_dir", "secret_env", "base_url")  # where its login or key is
# What a rule or place is where the human lifts it.
UNSET: dict[str, Any] = {
    "plan": "",
    "price_usd_month": None,
    "week_usd": None,
    "reserve_percent": 0.0,
    "is_automatic": True,
    "models": [],
    "daily_cap_usd": None,
    "max_running": None,
    "rank": 0,
    **dict.fromkeys(PLACES, ""),
}
NAME_CHARS, MODEL_CHARS, MAX_MODELS = 64, 100, 50
MAX_RESERVE, MAX_USD, MAX_SESSIONS, MAX_RANK = 95.0, 1_000_000.0, 1000, 1000
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def check_name(name: str) -> None:
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= NAME_CHARS:
        raise Invalid(f"{name[:NAME_CHARS]!r} is no account name: use 1 to 64 printable letters.")


def check_variable(name: str) -> None:
    if name and not _VARIABLE.fullmatch(name):
        raise Invalid(
            f"{name[:12]!r} is no variable name. Give the name of the environment variable that "
            "holds the key, never the key itself."
        )


def check_address(base_url: str) -> None:
    if base_url and not base_url.startswith(("http://", "https://")):
        raise Invalid(f"{base_url!r} is no address: it starts with http:// or https://")


def checked(capabilities: Capabilities, given: dict[str, Any]) -> dict[str, Any]:
    """The rules as they are stored; Invalid says what to mend. Names are those of `RULES`."""
    return {name: _checked(capabilities, name, value) for name, value in given.items()}


def _checked(capabilities: Capabilities, name: str, value: Any) -> Any:
    match name:
        case "plan":
            return _plan(capabilities, value)
        case "models":
            return model_names(value)
        case "is_automatic":
            return bool(value)
        case "reserve_percent":
            return _number("The reserve", value, 0.0, MAX_RESERVE, "percent of each budget")
        case "price_usd_month":
            return _number("The price", value, 0.0, MAX_USD, "dollars a month")
        case "week_usd":
            return _number("What a week holds", value, 0.01, MAX_USD, "dollars at list price")
        case "daily_cap_usd":
            return _number("The daily cap", value, 0.01, MAX_USD, "dollars, or lift it")
        case "max_running":
            return int(_number("The sessions at a time", value, 1, MAX_SESSIONS, "or lift it"))
        case "rank":
            return int(_number("The rank", value, -MAX_RANK, MAX_RANK, "smallest first"))
    raise ValueError(f"{name} is no rule of an account")


def plan_of(capabilities: Capabilities, plan: str) -> Plan | None:
    """The driver's plan of that id or label, letters' case apart; None for any other words."""
    wanted = plan.strip().casefold()
    known = capabilities.plans
    return next((p for p in known if wanted in (p.id.casefold(), p.label.casefold())), None)


def _plan(capabilities: Capabilities, words: str) -> str:
    plan = words.strip()
    if not plan.isprintable() or len(plan) > NAME_CHARS:
        raise Invalid(f"{plan[:NAME_CHARS]!r} is no plan: use up to 64 printable letters.")
    known = plan_of(capabilities, plan)
    return known.id if known else plan


def _number(what: str, value: Any, least: float, most: float, unit: str) -> float:
    number = float(value)
    if not math.isfinite(number) or not least <= number <= most:
        raise Invalid(f"{what} can't be {number:g}: take {least:g} to {most:g} ({unit}).")
    return number


def model_names(names: Iterable[str]) -> list[str]:
    """Models as the human names them, each once; Invalid says what can't be one."""
    kept = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    for name in kept:
        if len(name) > MODEL_CHARS or not name.isprintable():
            raise Invalid(f"{name[:MODEL_CHARS]!r} is no model name.")
    if len(kept) > MAX_MODELS:
        raise Invalid(f"{len(kept)} models are too many; name {MAX_MODELS} at most, or none.")
    return kept
