"""What was spent, and the import of the logs of what was spent outside of Quarterdeck."""

import time
from datetime import timedelta
from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import Given, View
from app.models.base import utc_now
from app.services import outside, usage
from app.services.accounts import named_account

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["usage"])

MAX_DAYS = 366
IMPORT_SECONDS = 10.0  # for one request; the caller asks again


class SpentView(View):
    key: str = Field(description="An id, a model, or an hour (unix time // 3600), as text.")
    label: str
    output: int
    fresh_input: int
    cache_write: int
    cache_read: int
    usd: float | None = Field(description="At list price; null: no price is known.")
    is_partial: bool = Field(description="Some of the tokens have no known price.")


class ImportGiven(Given):
    account: str | None = Field(default=None, description="Its name; null: all of them.")


class ImportView(View):
    account: str
    directory: str
    is_finished: bool = Field(description="False: there is more to read; ask again.")
    files: int
    records: int
    new_calls: int
    bytes_read: int
    unreadable_lines: int
    problems: list[str]


@router.get("/usage", summary="Tokens and dollars at list price, dearest first")
def list_usage(
    ctx: Ctx,
    by: Literal["account", "agent", "task", "model", "session", "hour"] = "account",
    days: float = 7.0,
    outside: bool = True,
) -> list[SpentView]:
    """Of the last days; `outside`: with what the logs tell of use outside of Quarterdeck."""
    now = utc_now()
    since = now - timedelta(days=min(max(days, 0.0), MAX_DAYS))
    with ctx.db.read() as db:
        rows = usage.spent(db, by=by, since=since, until=now, with_outside=outside)
    return [
        SpentView(**{**vars(row), "usd": row.usd.usd, "is_partial": row.usd.is_partial})
        for row in rows
    ]


@router.post("/usage/import", summary="Count what is new in the vendors' own logs")
def import_usage(ctx: Ctx, given: ImportGiven) -> list[ImportView]:
    """Reads for ten seconds or so; what is left is for the next call."""
    wanted = named_account(ctx, given.account).id if given.account else None
    ids = [wanted] if wanted else [place.account.id for place in outside.places(ctx)]
    end = time.monotonic() + IMPORT_SECONDS
    done = [outside.import_logs(ctx, number or 0, seconds=end - time.monotonic()) for number in ids]
    if any(each.new_calls for each in done):
        ctx.publish("accounts")
    return [ImportView.model_validate(each) for each in done]
