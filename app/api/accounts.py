"""Accounts over JSON: thin, every route calls one service."""

from datetime import datetime

from fastapi import APIRouter
from sqlmodel import Session as Orm

from app.api.account_schemas import (
    AccountChange,
    AccountGiven,
    AccountView,
    LoginView,
    QuotaWindowView,
)
from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.models import Account, QuotaReading
from app.models.base import utc_now
from app.services import accounts as services
from app.services import probe_times, probing, usage
from app.services import quota as quota_services
from app.services.context import Context
from app.store import accounts, quota

router = APIRouter(route_class=ApiRoute, responses=RESPONSES)


@router.get("/accounts", tags=["accounts"], summary="The logins and keys agents spend")
def list_accounts(ctx: Ctx) -> list[AccountView]:
    with ctx.db.read() as db:
        return _views(db, accounts.every(db))


@router.post("/accounts", tags=["accounts"], summary="Register a login or a key", status_code=201)
def add_account(ctx: Ctx, given: AccountGiven) -> AccountView:
    """A key is given by the name of its environment variable, never by its value."""
    return _view(ctx, services.add_account(ctx, **given.model_dump()))


@router.post("/accounts/{name:path}/probe", tags=["accounts"], summary="Ask its vendor now")
def probe_account(ctx: Ctx, name: str) -> AccountView:
    """Answers at once with what is known; `probed_at` moves when the vendor has answered."""
    account = services.named_account(ctx, name)
    probing.ask(ctx, account.id or 0)
    return _view(ctx, account)


@router.post("/accounts/{name:path}/login", tags=["accounts"], summary="How to log in there")
def show_login(ctx: Ctx, name: str) -> LoginView:
    """The vendor's own command for your terminal; we look for ten minutes whether it happened."""
    account = services.named_account(ctx, name)
    return LoginView(
        command=probing.show_login(ctx, account),
        login=account.login,
        identity=account.identity,
        watched_until=utc_now() + probe_times.WATCH,
    )


@router.get("/accounts/{name:path}", tags=["accounts"], summary="One account")
def show_account(ctx: Ctx, name: str) -> AccountView:
    return _view(ctx, services.named_account(ctx, name))


@router.patch("/accounts/{name:path}", tags=["accounts"], summary="Change its rules or its login")
def set_account(ctx: Ctx, name: str, change: AccountChange) -> AccountView:
    """Fields that are left out stay; null lifts one."""
    given = change.model_dump(exclude_unset=True)
    lifted = [field for field, value in given.items() if value is None]
    return _view(ctx, services.set_account(ctx, name=name, lifted=lifted, **given))


@router.delete(
    "/accounts/{name:path}", tags=["accounts"], summary="Forget one nobody uses", status_code=204
)
def remove_account(ctx: Ctx, name: str) -> None:
    """Its directory, login and key stay as they are."""
    services.remove_account(ctx, name=name)


def _view(ctx: Context, account: Account) -> AccountView:
    with ctx.db.read() as db:
        return _views(db, [account])[0]


def _views(db: Orm, rows: list[Account]) -> list[AccountView]:
    now = utc_now()
    spent_today, told = usage.spent_today(db, now), quota.by_account(db)
    views = []
    for row in rows:
        spent = spent_today.get(row.id or 0, 0.0)
        more = {
            "price_usd_month": services.price_of(row),
            "closed": services.closed(row, spent, now),
            "spent_today_usd": spent,
            "windows": [_window(reading, now) for reading in told.get(row.id or 0, [])],
        }
        views.append(AccountView.model_validate({**row.model_dump(), **more}))
    return views


def _window(row: QuotaReading, now: datetime) -> QuotaWindowView:
    return QuotaWindowView(
        kind=row.kind,
        used_percent=quota_services.used_percent(row, now),
        elapsed_percent=quota_services.elapsed_percent(row, now),
        window_minutes=row.window_minutes,
        resets_at=row.resets_at,
        is_refused=quota_services.is_refused(row, now),
        is_stale=quota_services.is_stale(row, now),
        source=row.source,
        observed_at=row.observed_at,
    )
