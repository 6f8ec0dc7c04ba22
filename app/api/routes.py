"""The JSON API, put together under /api/v1. The door (token, Host, Origin) is the app's."""

from fastapi import APIRouter

from agents import sandbox
from app import __version__
from app.api import (
    accounts,
    balance,
    checks,
    contests,
    decisions,
    fleet,
    gauges,
    moves,
    publishing,
    queue,
    radar,
    record,
    reviews,
    sessions,
    unions,
    usage,
    work,
)
from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import Health
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


for part in (
    accounts.router,
    balance.router,
    fleet.router,
    moves.router,
    gauges.router,
    work.router,
    sessions.router,
    reviews.router,
    radar.router,
    unions.router,
    queue.router,
    decisions.router,
    contests.router,
    record.router,
    checks.router,
    publishing.router,
    usage.router,
):
    router.include_router(part)
