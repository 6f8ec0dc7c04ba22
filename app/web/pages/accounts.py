"""Accounts: the logins and keys that agents spend. Keys are named by variable, never typed in."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import Response

from agents.base import Plan
from app.errors import NotFound
from app.models import Account
from app.services import accounts as accounts_service
from app.services import probing
from app.services.context import Context
from app.store import accounts as stored
from app.web import answers
from app.web.contexts import accounts, snapshot
from app.web.deps import Ctx
from app.web.forms import Rules
from app.web.render import page

router = APIRouter()
Given = Annotated[Rules, Depends()]


@router.get("/accounts")
def index(request: Request, ctx: Ctx) -> Response:
    snap = snapshot.take(ctx)
    return page(
        request,
        "accounts/index.html",
        live="accounts",
        snap=snap,
        cards=accounts.listing(ctx, snap),
        plans=_plans(),
    )


@router.post("/accounts")
def add(
    ctx: Ctx,
    name: Annotated[str, Form()],
    driver: Annotated[str, Form()],
    rules: Given,
    auth: Annotated[str, Form()] = "subscription",
    config_dir: Annotated[str, Form()] = "",
    secret_env: Annotated[str, Form()] = "",
    base_url: Annotated[str, Form()] = "",
) -> Response:
    accounts_service.add_account(
        ctx,
        name=name.strip(),
        driver=driver,
        auth=auth,
        config_dir=config_dir.strip(),
        secret_env=secret_env.strip(),
        base_url=base_url.strip(),
        **rules.given(),
    )
    return answers.go("/accounts")


@router.get("/accounts/{account_id}")
def settings(request: Request, ctx: Ctx, account_id: int) -> Response:
    """The account's rules, to look at and to change."""
    account = _account(ctx, account_id)
    return answers.sheet(
        request,
        "accounts/_settings.html",
        account.name,
        account=account,
        plans=_plans(account.driver),
    )


@router.post("/accounts/{account_id}/rules")
def rules(request: Request, ctx: Ctx, account_id: int, given: Given) -> Response:
    account = _account(ctx, account_id)
    accounts_service.set_account(ctx, name=account.name, lifted=given.lifted(), **given.given())
    return answers.done(request, f"The rules of {account.name} are kept.", "accounts")


@router.post("/accounts/{account_id}/probe")
def probe(request: Request, ctx: Ctx, account_id: int) -> Response:
    account = _account(ctx, account_id)
    probing.ask(ctx, account_id)
    return answers.done(request, f"Asking for {account.name}; the page shows what it says.")


@router.post("/accounts/{account_id}/watch")
def watch(request: Request, ctx: Ctx, account_id: int) -> Response:
    account = _account(ctx, account_id)
    probing.show_login(ctx, account)
    said = f"Looking for the login of {account.name} every 15 seconds, for ten minutes."
    return answers.done(request, said)


def _account(ctx: Context, account_id: int) -> Account:
    with ctx.db.read() as db:
        account = stored.get(db, account_id)
    if account is None:
        raise NotFound(f"There is no account {account_id}; the Accounts page lists them.")
    return account


def _plans(driver: str = "") -> list[Plan]:
    """The plans that drivers know, of one or of all."""
    known = snapshot.capabilities()
    names = [driver] if driver in known else list(known)
    return list({plan.id: plan for name in names for plan in known[name].plans}.values())
