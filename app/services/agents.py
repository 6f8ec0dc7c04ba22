"""Agents: named workers that outlive their sessions."""

import math
import re

from sqlmodel import Session as Orm

from app.errors import Conflict, Invalid, NotFound
from app.models import Account, Agent
from app.services import logins
from app.services.accounts import default_account, named_account
from app.services.context import Context
from app.services.ledger import record
from app.store import agents

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
PERMISSIONS = ("ask", "auto")
QUOTA_UNITS = ("tokens", "usd", "percent")  # output tokens, at list price, of a week's budget


def add_agent(
    ctx: Context,
    *,
    name: str,
    driver: str,
    account: str | None = None,
    model: str = "",
    permissions: str = "ask",
    instructions: str = "",
) -> Agent:
    """A new worker; without an account it takes its driver's only one."""
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no agent name: a small letter, then small letters, digits, -")
    _check_permissions(permissions)
    login = named_account(ctx, account) if account else default_account(ctx, driver)
    _check_account(login, driver)
    agent = Agent(
        name=name,
        driver=driver,
        model=model,
        account_id=login.id or 0,
        permissions=permissions,
        instructions=instructions,
    )
    with ctx.db.write() as db:
        if agents.by_name(db, name):
            raise Conflict(f"There is an agent {name!r} already; take another name.")
        db.add(agent)
    ctx.publish("fleet", "wake")
    return agent


def set_agent(
    ctx: Context,
    *,
    name: str,
    is_enabled: bool | None = None,
    model: str | None = None,
    permissions: str | None = None,
    instructions: str | None = None,
    account: str | None = None,
    is_movable: bool | None = None,
    quota_unit: str | None = None,
    quota_per_day: float | None = None,
) -> Agent:
    """Change what is given; it holds from the agent's next session start.

    A quota is given with its unit; the unit "" lifts it.
    """
    if permissions is not None:
        _check_permissions(permissions)
    login = named_account(ctx, account) if account else None
    given: dict[str, str | bool | float | None] = {
        "is_enabled": is_enabled,
        "model": model,
        "permissions": permissions,
        "instructions": instructions,
        "account_id": login.id if login else None,
        "is_movable": is_movable,
        **_quota(quota_unit, quota_per_day),
    }
    changes = {field: value for field, value in given.items() if value is not None}
    with ctx.db.write() as db:
        agent = existing(db, name)
        if login is not None:
            _check_account(login, agent.driver)
        for field, value in changes.items():
            setattr(agent, field, value)
        db.add(agent)
        record(db, "set", f"agent {name}", detail=changes)
    ctx.publish("fleet", "wake")
    return agent


def existing(db: Orm, name: str) -> Agent:
    """The agent of that name; NotFound."""
    agent = agents.by_name(db, name)
    if agent is None:
        raise NotFound(f"There is no agent {name!r}; `quarterdeck agent list` shows them.")
    return agent


def model_of(agent: Agent, account: Account | None = None) -> str:
    """The agent's model, or its driver's; "" where the vendor's program chooses.

    With `account`: what it would use there.
    """
    if account is None:
        return agent.model or logins.can(agent).default_model
    return model_on(agent, account) or logins.can(account).default_model


def model_on(agent: Agent, account: Account) -> str:
    """What its row says of the model once it is on the account; "" is the driver's default."""
    kept = agent.model if agent.driver == account.driver else ""
    return kept if not account.models or kept in account.models else account.models[0]


def _quota(unit: str | None, per_day: float | None) -> dict[str, str | float]:
    """The two columns of a quota; nothing where none was given."""
    if unit is None and per_day is None:
        return {}
    if unit == "":
        return {"quota_unit": "", "quota_per_day": 0.0}
    if unit not in QUOTA_UNITS:
        raise Invalid(f"Give the quota's unit too: one of {', '.join(QUOTA_UNITS)}.")
    if per_day is None or not math.isfinite(per_day) or per_day <= 0:
        raise Invalid("Give the quota for a day as a number above 0, or the unit '' to lift it.")
    if unit == "percent" and per_day > 100:
        raise Invalid("A quota of its account's budget has at most 100 percent.")
    return {"quota_unit": unit, "quota_per_day": per_day}


def _check_permissions(permissions: str) -> None:
    if permissions not in PERMISSIONS:
        raise Invalid(
            f"{permissions!r} is no permission mode: take one of {', '.join(PERMISSIONS)}."
        )


def _check_account(account: Account, driver: str) -> None:
    if account.driver != driver:
        raise Invalid(f"Account {account.name!r} is for {account.driver}, not for {driver}.")
