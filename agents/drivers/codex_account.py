"""Codex's account: login, plan and meters, as `codex app-server` tells them.

`account/read` knows the login, `account/rateLimits/read` the meters; neither costs a token, and
the login's file is the program's own and never opened here.
"""

from datetime import datetime
from pathlib import Path

from agents.base import AccountReport, Endpoint, Plan
from agents.drivers.asking import Message, exchange, passed
from agents.drivers.codex_config import API_KEY_ENV
from agents.drivers.codex_limits import status_of, windows_of
from agents.drivers.readings import number
from agents.events import Quota, QuotaWindow, utc_now

PLANS = (
    Plan("pro", "Pro", 200, week_usd=800, short_usd=240),
    Plan("plus", "Plus", 20, week_usd=80, short_usd=25),
    Plan("business", "Business", 30, week_usd=80, short_usd=25),
)
ANSWER_SECONDS = 25.0
_FLAGS = ("analytics.enabled=false", "check_for_update_on_startup=false", "features.plugins=false")
_HELLO = {
    "clientInfo": {"name": "quarterdeck", "title": "Quarterdeck", "version": "1"},
    "capabilities": {"experimentalApi": True},
}
_MESSAGES: tuple[Message, ...] = (
    {"id": 1, "method": "initialize", "params": _HELLO},
    {"method": "initialized"},
    {"id": 2, "method": "account/read", "params": {}},
    {"id": 3, "method": "account/rateLimits/read", "params": {"excludeResetCreditDetails": True}},
)
_TEAM = {"team": "business", "self_serve_business_usage_based": "business"}  # its names over time


def read_account(endpoint: Endpoint, env: dict[str, str], binary: str, home: str) -> AccountReport:
    """Login, identity, plan, windows of the login in `home`; at most 30 seconds, raises nothing."""
    name = endpoint.secret_env or (API_KEY_ENV if endpoint.auth == "api_key" else "")
    if name and not env.get(name):
        missing = f"The variable {name} is not set; set it to the API key."
        return AccountReport(logged_in=False, problem=missing)
    if endpoint.auth != "subscription" or endpoint.base_url or name:
        return AccountReport()  # a key, or somebody's own server: no meter to ask
    if not Path(home).is_dir():
        login = f"CODEX_HOME={home} codex login"
        missing = f"There is no directory {home}; make it, then run: {login}"
        return AccountReport(logged_in=False, problem=missing)
    if not binary:
        return AccountReport(problem="Codex was not found: install it, or put it on PATH.")
    flags = [word for flag in _FLAGS for word in ("-c", flag)]
    child = passed(env) | {"CODEX_HOME": home}
    wanted = frozenset({"2", "3"})
    try:
        argv = [binary, "app-server", *flags]
        replies = exchange(argv, child, _MESSAGES, _reply_id, wanted, ANSWER_SECONDS)
    except OSError as error:
        return AccountReport(problem=f"Codex does not answer: {error}")
    return report(replies.get("2", {}), replies.get("3", {}), f"CODEX_HOME={home} codex login")


def report(
    account: Message, limits: Message, login: str, now: datetime | None = None
) -> AccountReport:
    """What the replies to `account/read` and `account/rateLimits/read` say, in our words."""
    who = _dict(account.get("result"))
    told = _dict(limits.get("result"))
    person = _dict(who.get("account"))
    if "account" in who and not person and who.get("requiresOpenaiAuth"):
        return AccountReport(logged_in=False, problem=f"It is not logged in; run: {login}")
    main = _dict(told.get("rateLimits"))
    quota = _quota(told, now or utc_now())
    problem = ""
    if not person and not told:
        problem = f"Codex did not answer for this directory; if that lasts, run: {login}"
    elif person.get("type") == "chatgpt" and not told:
        problem = "Its meter did not answer; it is asked again later."
    plan = str(person.get("planType") or main.get("planType") or "").lower()
    return AccountReport(
        logged_in=True if person or told else None,
        identity=_identity(who, person),
        plan=_TEAM.get(plan, plan if plan != "unknown" else ""),
        quota=quota,
        credits=_credits(main.get("credits"), told.get("rateLimitResetCredits")),
        problem=problem,
    )


def _quota(told: Message, now: datetime) -> Quota | None:
    main = _dict(told.get("rateLimits"))
    others = [row for row in _dict(told.get("rateLimitsByLimitId")).values() if row != main]
    snapshots = [row for row in [main, *others] if isinstance(row, dict)]
    found: dict[str, QuotaWindow] = {}
    for snapshot in snapshots:
        for reading in windows_of(snapshot, now).values():
            found.setdefault(reading.kind, reading)
    if not found:
        return None
    allowed = told.get("ordinaryUsageAllowed")
    own = windows_of(main, now).values()
    return Quota(list(found.values()), status=status_of(main, own, allowed), source="app-server")


def _identity(who: Message, person: Message) -> str:
    """The e-mail, and which of the person's workspaces: each has a plan of its own."""
    email = str(person.get("email") or "")
    workspace = str(_dict(who.get("workspaceRouting")).get("chatgptAccountId") or "")
    return f"{email} ({workspace[:8]})".strip() if workspace else email


def _credits(credits: object, resets: object) -> str:
    words = []
    row, banked = _dict(credits), number(_dict(resets).get("availableCount"))
    if row.get("unlimited"):
        words.append("unlimited credits")
    elif row.get("hasCredits") and row.get("balance") not in (None, ""):
        words.append(f"{row['balance']} credits")
    if banked:
        words.append(f"{banked:.0f} banked reset{'s' if banked > 1 else ''}")
    return ", ".join(words)


def _reply_id(message: Message) -> str:
    return str(message.get("id", "")) if "method" not in message else ""


def _dict(value: object) -> Message:
    return value if isinstance(value, dict) else {}
