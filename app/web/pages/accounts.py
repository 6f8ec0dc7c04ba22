"""Accounts: the logins and keys that agents spend. Keys are named by variable, never typed in."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from app.services import accounts as accounts_service
from app.web import answers
from app.web.contexts import accounts, snapshot
from app.web.deps import Ctx
from app.web.render import page

router = APIRouter()


@router.get("/accounts")
def index(request: Request, ctx: Ctx) -> Response:
    snap = snapshot.take(ctx)
    cards = accounts.listing(ctx, snap)
    return page(request, "accounts/index.html", live="accounts", snap=snap, cards=cards)


@router.post("/accounts")
def add(
    ctx: Ctx,
    name: Annotated[str, Form()],
    driver: Annotated[str, Form()],
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
    )
    return answers.go("/accounts")
