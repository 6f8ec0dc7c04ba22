"""The decision ledger over JSON: a page of it, or all of it as lines."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import View
from app.services import ledger
from app.services.context import Context
from app.store import merge_requests

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["decisions"])


class DecisionView(View):
    """Who or what decided, on which commit, knowing what."""

    id: int
    actor: str
    verb: str
    subject: str
    sha: str
    tree_sha: str = Field(description="The combined tree that it would have become then.")
    evidence: dict[str, Any] = Field(description="What was known: check, care, what was seen.")
    detail: dict[str, Any] = Field(description="What was said: a reason, conditions.")
    created_at: datetime


class LedgerLine(View):
    """One line of the export."""

    kind: str = Field(description="decision, or balancer: which account does which work.")
    id: int
    at: datetime
    actor: str
    verb: str
    subject: str
    sha: str
    tree_sha: str
    evidence: dict[str, Any]
    detail: dict[str, Any]


@router.get("/decisions", summary="The ledger: who decided what, newest first")
def decisions(ctx: Ctx, subject: str | None = None, limit: int = 200) -> list[DecisionView]:
    with ctx.db.read() as db:
        rows = merge_requests.decisions(db, subject, max(1, min(limit, 1000)))
        return [DecisionView.model_validate(row) for row in rows]


@router.get(
    "/decisions.jsonl",
    summary="The whole ledger, oldest first, one JSON object a line",
    response_model=LedgerLine,
)
def export(ctx: Ctx, since: datetime | None = None) -> StreamingResponse:
    """The balancer's decisions are in it; `since` without a zone is UTC."""
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return StreamingResponse(_lines(ctx, since), media_type="application/x-ndjson")


def _lines(ctx: Context, since: datetime | None) -> Iterator[bytes]:
    for line in ledger.export(ctx, since):
        yield msgspec.json.encode(line) + b"\n"
