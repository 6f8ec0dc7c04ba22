"""Accounts: which login or key an agent spends, and the human's rules for it.

Secrets stay in the environment. Where a login lies and why an account is closed: `logins`.
"""

import os
from collections.abc import Iterable
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session as Orm

from app.errors import Conflict, Invalid, NotFound
from app.models import Account
from app.models.base import utc_now
from app.services import account_rules, logins, probe_times
from app.services.account_rules import PLACES, RULES, UNSET
from app.services.context import Context
from app.services.ledger import record
from app.services.logins import capabilities_of, closed, directory_of, endpoint_of, login_command
from app.store import accounts, sessions

__all__ = [
    "add_account",
    "closed",
    "default_account",
    "directory_of",
    "endpoint_of",
    "existing",
    "login_command",
    "named_account",
    "price_of",
    "remove_account",
    "secrets",
    "set_account",
]


def add_account(
    ctx: Context,
    *,
    name: str,
    driver: str,
    auth: str = "subscription",
    secret_env: str = "",
    config_dir: str = "",
    base_url: str = "",
    is_rehearsal: bool = False,
    **rules: Any,
) -> Account:
    """Register a login by its directory, or a key by its variable's name.

    `rules` are those of `account_rules.RULES`; None leaves one as it is by default.
    """
    capabilities = capabilities_of(driver)
    account_rules.check_name(name)
    if auth not in capabilities.auths:
        raise Invalid(f"{capabilities.label} logs in by {' or '.join(capabilities.auths)}.")
    if auth == "api_key" and not secret_env:
        secret_env = capabilities.api_key_env
    given = {rule: value for rule, value in rules.items() if value is not None}
    account = Account(
        name=name,
        driver=driver,
        auth=auth,
        is_rehearsal=is_rehearsal,
        **account_rules.checked(capabilities, given),
    )
    _place(account, {"config_dir": config_dir, "secret_env": secret_env, "base_url": base_url})
    with ctx.db.write() as db:
        if accounts.by_name(db, name):
            raise Conflict(f"There is an account {name!r} already; take another name.")
        _check_alone(db, account)
        db.add(account)
    ctx.publish("accounts", "wake")
    return account


def set_account(ctx: Context, *, name: str, lifted: Iterable[str] = (), **changes: Any) -> Account:
    """Change rules and places by their names; None leaves one, a name in `lifted` unsets one."""
    given = {field: value for field, value in changes.items() if value is not None}
    given |= {field: UNSET[field] for field in _known(lifted)}
    _known(given)
    places = {field: value for field, value in given.items() if field in PLACES}
    rules = {field: value for field, value in given.items() if field in RULES}
    unset = {field: rules.pop(field) for field in [*rules] if rules[field] == UNSET[field]}
    with ctx.db.write() as db:
        account = existing(db, name)
        checked = account_rules.checked(capabilities_of(account.driver), rules) | unset
        for field, value in checked.items():
            setattr(account, field, value)
        if places:
            _move_login(db, account, places)
        db.add(account)
        record(db, "set", f"account {name}", detail=checked | places)
    if places:
        probe_times.ask(ctx, account.id or 0)
    ctx.publish("accounts", "fleet", "wake")
    return account


def remove_account(ctx: Context, *, name: str) -> None:
    """Forget an account that nobody uses; its directory, login and key stay as they are."""
    try:
        with ctx.db.write() as db:
            account = existing(db, name)
            accounts.remove(db, account)
            record(db, "remove", f"account {name}")
    except IntegrityError:
        raise Conflict(
            f"Agents, tasks or past work belong to {name}; to keep it out of use, "
            f"`quarterdeck account set {name!r} --by-hand` and give its agents another account."
        ) from None
    probe_times.forget(ctx, account.id or 0)
    ctx.publish("accounts", "fleet", "wake")


def default_account(ctx: Context, driver: str) -> Account:
    """The driver's only account; the human's own login is registered where there is none."""
    capabilities = capabilities_of(driver)
    with ctx.db.read() as db:
        mine = [account for account in accounts.every(db) if account.driver == driver]
    if len(mine) == 1:
        return mine[0]
    if mine:
        names = ", ".join(account.name for account in mine)
        raise Invalid(f"{capabilities.label} has several accounts; name one of {names}.")
    auth = capabilities.auths[0]
    config_dir = capabilities.config_dir if auth == "subscription" else ""
    return add_account(
        ctx, name=capabilities.label, driver=driver, auth=auth, config_dir=config_dir
    )


def named_account(ctx: Context, name: str) -> Account:
    with ctx.db.read() as db:
        return existing(db, name)


def price_of(account: Account) -> float | None:
    """Dollars a month: what the human says, else its plan's price; None where neither is known."""
    if account.price_usd_month is not None:
        return account.price_usd_month
    plan = logins.plan_of(account)
    return plan.price_usd_month if plan else None


def secrets(account: Account) -> dict[str, str]:
    """The account's secret from our own environment; Invalid names the variable that lacks."""
    if not account.secret_env:
        return {}
    value = os.environ.get(account.secret_env, "")
    if not value:
        raise Invalid(
            f"Account {account.name!r} reads its key from ${account.secret_env}, which is not set "
            "where the server runs: set it and start the server again."
        )
    return {account.secret_env: value}


def existing(db: Orm, name: str) -> Account:
    """The account of that name; NotFound."""
    account = accounts.by_name(db, name)
    if account is None:
        raise NotFound(f"There is no account {name!r}; `quarterdeck account list` shows them.")
    return account


def _known(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        if name not in UNSET:
            raise Invalid(f"{name!r} can't be set: an account has {', '.join(UNSET)}.")
    return names


def _place(account: Account, places: dict[str, str]) -> None:
    """Where its login or key is, checked and in its normal form."""
    account_rules.check_variable(places.get("secret_env", ""))
    account_rules.check_address(places.get("base_url", ""))
    if "config_dir" in places:
        places["config_dir"] = logins.normal_directory(places["config_dir"])
    for field, value in places.items():
        setattr(account, field, value)
    if not account.config_dir and (default := directory_of(account)):
        account.config_dir = str(default)  # by name: the agents' own homes are others


def _move_login(db: Orm, account: Account, places: dict[str, str]) -> None:
    """Another login from now on: nothing that was told of the old one holds for it."""
    running = [row.id for row in sessions.live(db) if row.account_id == account.id]
    if running:
        raise Conflict(
            f"{len(running)} sessions run on {account.name}: stop them, then change its login."
        )
    _place(account, places)
    _check_alone(db, account)
    account.login, account.login_problem, account.identity = "unknown", "", ""
    account.credits, account.limited_until = "", None
    account.probed_at = utc_now()  # what failed before says nothing of this login
    accounts.forget_windows(db, account.id or 0)


def _check_alone(db: Orm, account: Account) -> None:
    """Each login and key is one account: else its windows and spending would count twice."""
    with db.no_autoflush:
        others = [other for other in accounts.every(db) if other is not account]
    if other := logins.sharer(account, others):
        where = directory_of(account)
        raise Conflict(f"{where} is the directory of {other.name!r}; each login has its own.")
    if other := logins.same_key(account, others):
        raise Conflict(
            f"${account.secret_env} is the key of {other.name!r} already; name another variable."
        )
