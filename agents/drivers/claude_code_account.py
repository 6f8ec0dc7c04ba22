"""Claude Code's account: login, plan and meters, as the program itself tells them.

`claude auth status` knows the login, the control request `get_usage` the meters. Neither costs a
token; the login's file is the program's own and is never opened here.
"""

import subprocess
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec

from agents.base import AccountReport, Endpoint, Plan
from agents.drivers.asking import Message, exchange, output, passed
from agents.drivers.claude_code_program import CREDENTIALS, LOGIN, QUIET, find_binary
from agents.drivers.readings import KINDS, number, window
from agents.errors import AgentError
from agents.events import Quota, QuotaWindow, utc_now

PLANS = (
    Plan("max_20x", "Max 20x", 200, week_usd=1000, short_usd=110),
    Plan("max_5x", "Max 5x", 100, week_usd=330, short_usd=37),
    Plan("pro", "Pro", 20, week_usd=65, short_usd=7.5),
)
STATUS_SECONDS, METER_SECONDS = 8.0, 15.0  # it gives its vendor five, and may ask twice
WARNING_PERCENT = 90.0
_MINUTES = {name: minutes for minutes, name in KINDS.items()}
# Not QUIET: without "nonessential" traffic the program asks no meter, and says nothing of it.
_SPARING = {"DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1", "DISABLE_ERROR_REPORTING": "1"}
# Neither the human's hooks nor his tool servers have a part in a question about the meter.
_FLAGS = (
    *("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
    *("--settings", '{"disableAllHooks":true}', "--strict-mcp-config", "--no-session-persistence"),
)


def read_account(endpoint: Endpoint, env: dict[str, str]) -> AccountReport:
    """Login, identity, plan, windows; blocks for at most 30 seconds, raises nothing."""
    if endpoint.secret_env and not env.get(endpoint.secret_env):
        missing = f"The variable {endpoint.secret_env} is not set; set it and start again."
        return AccountReport(logged_in=False, problem=missing)
    if endpoint.auth != "subscription":
        return (
            AccountReport()
        )  # a key has no meter to ask, and no status that knows whether it holds
    try:
        binary, child = find_binary(env), environment(endpoint, env)
        told = output([binary, "auth", "status", "--json"], child, STATUS_SECONDS)
        status = msgspec.json.decode(told, type=Message)
        if not status.get("loggedIn"):
            login = LOGIN.format(config_dir=endpoint.config_dir or "~/.claude")
            return AccountReport(logged_in=False, problem=f"It is not logged in; run: {login}")
        # A token by variable may not read the meter; an address not the vendor's own has none.
        metered = not endpoint.base_url and not endpoint.secret_env
        return report(status, _ask_meter(binary, child) if metered else {}, utc_now())
    except (AgentError, OSError, ValueError, subprocess.SubprocessError) as error:
        return AccountReport(problem=f"claude does not answer: {error}")


def environment(endpoint: Endpoint, env: dict[str, str]) -> dict[str, str]:
    """What the program gets: this account's login or token, and no other's."""
    child = passed(env) | QUIET
    if endpoint.config_dir:
        child["CLAUDE_CONFIG_DIR"] = endpoint.config_dir
    if endpoint.base_url:
        child["ANTHROPIC_BASE_URL"] = endpoint.base_url
    if endpoint.secret_env:
        _, _, token = CREDENTIALS
        child[token] = env.get(endpoint.secret_env, "")
    return child


def report(status: Message, usage: Message, now: datetime) -> AccountReport:
    """What `auth status` and `get_usage` say, in our words; `usage` may be empty."""
    limits = usage.get("rate_limits")
    quota = _quota(limits, now) if isinstance(limits, dict) else None
    silent = bool(usage.get("rate_limits_available")) and limits is None
    return AccountReport(
        logged_in=bool(status.get("loggedIn")),
        identity=_identity(status),
        plan=_plan(status, usage),
        quota=quota,
        credits=_credits(limits.get("extra_usage")) if isinstance(limits, dict) else "",
        problem="Its meter did not answer; it is asked again later." if silent else "",
    )


def _ask_meter(binary: str, env: dict[str, str]) -> Message:
    """The answer to `get_usage`; empty where none came."""
    requests: list[Message] = [
        {"subtype": "initialize"},
        {"subtype": "get_usage", "skip_behaviors": True},
    ]
    lines: list[Message] = [
        {"type": "control_request", "request_id": str(request["subtype"]), "request": request}
        for request in requests
    ]
    speaking = {name: value for name, value in env.items() if name not in QUIET} | _SPARING
    replies = exchange(
        [binary, *_FLAGS], speaking, lines, _reply_id, frozenset({"get_usage"}), METER_SECONDS
    )
    answer = replies.get("get_usage", {}).get("response", {}).get("response")
    # Nothing at all is as good as a meter that is there and silent.
    return answer if isinstance(answer, dict) else {"rate_limits_available": True}


def _reply_id(message: Message) -> str:
    reply = message.get("response")
    return str(reply.get("request_id", "")) if isinstance(reply, dict) else ""


def _quota(limits: Message, now: datetime) -> Quota | None:
    rows = [row for row in _windows(limits, now) if row is not None]
    if not rows:
        return None
    # A window of one model closes that model, not the account.
    used = max((row.used_percent for row in rows if row.kind in _MINUTES), default=0.0)
    if used >= 100:
        return Quota(rows, status="rejected", source="claude_code")
    status: Literal["allowed", "warning"] = "warning" if used >= WARNING_PERCENT else "allowed"
    return Quota(rows, status=status, source="claude_code")


def _windows(limits: Message, now: datetime) -> Iterator[QuotaWindow | None]:
    for name, row in limits.items():
        if isinstance(row, dict) and name != "extra_usage":
            minutes = _MINUTES.get(name) or (_MINUTES["seven_day"] if "seven_day" in name else None)
            yield window(name, row.get("utilization"), minutes, row.get("resets_at"), now)
    scoped = limits.get("model_scoped")
    for row in scoped if isinstance(scoped, list) else []:
        if isinstance(row, dict) and (model := str(row.get("display_name") or "").lower()):
            kind = f"seven_day_{model.replace(' ', '_')}"
            if not isinstance(limits.get(kind), dict):
                minutes = _MINUTES["seven_day"]
                yield window(kind, row.get("utilization"), minutes, row.get("resets_at"), now)


def _identity(status: Message) -> str:
    """The e-mail, and which of the person's organisations: each has a plan of its own."""
    email, organisation = (str(status.get(key) or "") for key in ("email", "orgId"))
    return f"{email} ({organisation[:8]})".strip() if organisation else email


def _plan(status: Message, usage: Message) -> str:
    tier = str(status.get("planTier") or "").lower()
    kind = str(status.get("subscriptionType") or usage.get("subscription_type") or "").lower()
    return tier if tier in {plan.id for plan in PLANS} else kind or tier


def _credits(extra: object) -> str:
    if not isinstance(extra, dict) or not extra.get("is_enabled"):
        return ""
    used, limit = number(extra.get("used_credits")), number(extra.get("monthly_limit"))
    if used is None:
        return ""
    currency = str(extra.get("currency") or "USD").upper()
    most = f" of {limit / 100:.2f}" if limit else ""
    return f"extra usage {used / 100:.2f}{most} {currency} this month"
