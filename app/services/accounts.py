"""Accounts: which login or key an agent spends. Secrets stay in the environment."""

import os
import re
from pathlib import Path

from agents.base import Capabilities
from agents.errors import AgentNotFound
from agents.registry import driver as find_driver
from app.errors import Conflict, Invalid, NotFound
from app.models import Account
from app.services.context import Context
from app.store import accounts

NAME_CHARS = 64
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


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
) -> Account:
    """Register a login by its directory, or a key by its variable's name."""
    capabilities = _capabilities(driver)
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= NAME_CHARS:
        raise Invalid(f"{name[:NAME_CHARS]!r} is no account name: use 1 to 64 printable letters.")
    if auth not in capabilities.auths:
        raise Invalid(f"{capabilities.label} logs in by {' or '.join(capabilities.auths)}.")
    if auth == "api_key" and not secret_env:
        secret_env = capabilities.api_key_env
    _check_variable(secret_env)
    if base_url and not base_url.startswith(("http://", "https://")):
        raise Invalid(f"{base_url!r} is no address: it starts with http:// or https://")
    if config_dir:
        config_dir = str(Path(config_dir).expanduser().absolute())
    account = Account(
        name=name,
        driver=driver,
        auth=auth,
        secret_env=secret_env,
        config_dir=config_dir,
        base_url=base_url,
        is_rehearsal=is_rehearsal,
    )
    with ctx.db.write() as db:
        if accounts.by_name(db, name):
            raise Conflict(f"There is an account {name!r} already; take another name.")
        if config_dir and any(other.config_dir == config_dir for other in accounts.every(db)):
            raise Conflict(f"{config_dir} is another account's directory; each login has its own.")
        db.add(account)
    ctx.publish("accounts")
    return account


def default_account(ctx: Context, driver: str) -> Account:
    """The driver's only account; the human's own login is registered where there is none."""
    capabilities = _capabilities(driver)
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
        account = accounts.by_name(db, name)
    if account is None:
        raise NotFound(f"There is no account {name!r}; `quarterdeck account list` shows them.")
    return account


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


def _capabilities(driver_id: str) -> Capabilities:
    try:
        return find_driver(driver_id).capabilities
    except AgentNotFound as error:
        raise Invalid(str(error)) from None


def _check_variable(name: str) -> None:
    if name and not _VARIABLE.fullmatch(name):
        raise Invalid(
            f"{name[:12]!r} is no variable name. Give the name of the environment variable that "
            "holds the key, never the key itself."
        )
