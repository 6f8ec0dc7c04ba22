"""What an account is at its vendor: where its login lies, how the human logs in there, its plan,
and why the house gives it no work."""

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from agents.base import Auth, Capabilities, Endpoint, Plan
from agents.errors import AgentNotFound
from agents.registry import driver as find_driver
from app.errors import Invalid
from app.models import Account, Agent
from app.services import account_rules


def capabilities_of(driver_id: str) -> Capabilities:
    """What the driver can do; Invalid names the known ones."""
    try:
        return find_driver(driver_id).capabilities
    except AgentNotFound as error:
        raise Invalid(str(error)) from None


def can(row: Account | Agent) -> Capabilities:
    """Of a row's driver, even where this version does not have it: that closes nothing."""
    try:
        return find_driver(row.driver).capabilities
    except AgentNotFound:
        return Capabilities(label=row.driver, icon="??")


def plan_of(account: Account) -> Plan | None:
    """Its plan as its driver knows it; None where it has none, or one in the human's words."""
    return account_rules.plan_of(can(account), account.plan) if account.plan else None


def cache_life(account: Account) -> timedelta:
    """How long a prompt cache outlives the last call that is paid by the account."""
    declared = can(account)
    is_login = account.auth == "subscription"
    minutes = declared.login_cache_minutes if is_login else declared.cache_minutes
    return timedelta(minutes=minutes)


def has_own_login(account: Account) -> bool:
    """Whether a directory holds its login, so that the human logs in there."""
    return account.auth == "subscription" and not account.secret_env


def has_meter(account: Account) -> bool:
    """Whether its vendor can tell how full its windows are; a key's headers come by themselves."""
    return account.auth == "subscription" and can(account).quota


def directory_of(account: Account) -> Path | None:
    """Its own directory, or its driver's default one where its login lies there; None for keys."""
    if account.config_dir:
        return Path(account.config_dir)
    if not has_own_login(account):
        return None
    default = can(account).config_dir
    return Path(default).expanduser() if default else None


def normal_directory(text: str) -> str:
    """`text` absolute, without `~`, `..` and slashes at its end; "" stays."""
    if not text:
        return ""
    if not text.isprintable():
        raise Invalid(f"{text[:60]!r} is no directory's name: use printable letters.")
    try:
        path = Path(text).expanduser().absolute()
        return str(path.resolve() if ".." in path.parts else path)
    except (OSError, RuntimeError):  # a loop of links, or nobody's home
        raise Invalid(f"{text!r} leads nowhere; give the directory's whole path.") from None


def is_same_directory(one: Path, other: Path) -> bool:
    """Whether both lead to one place: by links, by mounts, or by letters that count as equal."""
    try:
        if one.exists() and other.exists():
            return one.samefile(other)
        return one.resolve() == other.resolve()
    except (OSError, RuntimeError):  # a loop of links, or no permission
        return one == other


def sharer(account: Account, others: list[Account]) -> Account | None:
    """Another account whose directory is the same one."""
    mine = directory_of(account)
    for other in others:
        theirs = directory_of(other) if other.id != account.id else None
        if mine is not None and theirs is not None and is_same_directory(mine, theirs):
            return other
    return None


def same_key(account: Account, others: list[Account]) -> Account | None:
    """Another account that spends the same variable at the same place: counted twice."""
    if not account.secret_env or account.is_rehearsal:
        return None
    for other in others:
        mine = (account.driver, account.secret_env, account.base_url)
        if other.id != account.id and mine == (other.driver, other.secret_env, other.base_url):
            return other
    return None


def endpoint_of(account: Account) -> Endpoint:
    """What a driver is told of the account; its login's directory by name, default or not."""
    directory = directory_of(account)
    return Endpoint(
        auth=cast(Auth, account.auth),
        base_url=account.base_url,
        secret_env=account.secret_env,
        config_dir=str(directory) if directory else "",
    )


def login_command(account: Account) -> str:
    """What the human types into a terminal to log in; "" for a key, or where nobody logs in."""
    command = can(account).login_command
    directory = directory_of(account)
    if not command or directory is None or not has_own_login(account):
        return ""
    place = shlex.quote(str(directory))
    making = "" if _is_there(directory) else f"mkdir -p {place} && "
    return making + command.replace("{config_dir}", place)


def missing_directory(account: Account) -> str:
    """A sentence where the directory that holds its login is not there; "" where it is."""
    directory = directory_of(account)
    if directory is None or not has_own_login(account) or _is_there(directory):
        return ""
    command = login_command(account)
    if not account.identity and account.login != "in":
        return f"{account.name} has no login yet: {directory} is not there; run: {command}"
    return (
        f"The directory of {account.name}, {directory}, is missing: bring it back, or log in "
        f"again: {command}"
    )


def _is_there(directory: Path) -> bool:
    try:
        return directory.is_dir()
    except OSError:  # below something that we may not enter
        return False


def closed(account: Account, spent_today_usd: float | None, now: datetime) -> str:
    """Why the house gives the account no work, one sentence; "" where it is open.

    `spent_today_usd` counts from 00:00 UTC; None (unknown) never closes it.
    """
    if missing := missing_directory(account):
        return missing
    if account.login == "out":
        return account.login_problem or f"{account.name} is logged out{way_in(account)}."
    return cap_reached(account, spent_today_usd, now)


def cap_reached(account: Account, spent_today_usd: float | None, now: datetime) -> str:
    """A sentence where its daily cap is spent; "" where it is not, or where nobody knows."""
    cap = account.daily_cap_usd
    if cap is None or spent_today_usd is None or spent_today_usd < cap:
        return ""
    hours = 24 - now.astimezone(UTC).hour
    return (
        f"{account.name} has spent ${spent_today_usd:.2f} of its ${cap:.2f} a day: it opens "
        f"again at 00:00 UTC, in less than {hours} h, or when its cap is raised."
    )


def way_in(account: Account) -> str:
    """How to log in there, to put behind a sentence; "" for a key."""
    command = login_command(account)
    return f"; run: {command}" if command else ""
