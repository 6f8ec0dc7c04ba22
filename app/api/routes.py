"""The JSON API, put together under /api/v1. The door (token, Host, Origin) is the app's."""

from fastapi import APIRouter

from agents import sandbox
from app import __version__
from app.api import accounts, balance, fleet, gauges, moves, reviews, sessions, usage, work
from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import DecisionView, Health
from app.store import merge_requests
from app.store.migrate import head

router = APIRouter(prefix="/api/v1", route_class=ApiRoute, responses=RESPONSES)


@router.get("/health", tags=["server"], summary="The server answers")
def health(ctx: Ctx) -> Health:
    with ctx.db.read() as db:
        merge_requests.decisions(db, limit=1)  # the database answers too
    return Health(
        status="ok",
        version=__version__,
        revision=head(),
        is_rehearsal=ctx.settings.rehearsal,
        is_sandboxed=ctx.settings.sandbox and sandbox.available().ok,
    )


@router.get("/decisions", tags=["server"], summary="The ledger: who decided what, newest first")
def decisions(ctx: Ctx, subject: str | None = None, limit: int = 200) -> list[DecisionView]:
    with ctx.db.read() as db:
        rows = merge_requests.decisions(db, subject, max(1, min(limit, 1000)))
        return [DecisionView.model_validate(row) for row in rows]


for part in (
    accounts.router,
    balance.router,
    fleet.router,
    moves.router,
    gauges.router,
    work.router,
    sessions.router,
    reviews.router,
    usage.router,
):
    router.include_router(part)
