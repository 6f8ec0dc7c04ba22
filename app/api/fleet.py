"""The whole Fleet page in one call: the strip, the tiles and what waits for the human."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import PermissionView, View
from app.web.contexts import fleet, inbox, snapshot

router = APIRouter(route_class=ApiRoute, responses=RESPONSES)


class StripView(View):
    output_tokens_per_minute: float
    agents_by_state: dict[str, int]
    oldest_wait_at: datetime | None
    permissions: int
    to_review: int
    queued: int


class TileView(View):
    name: str
    state: str
    task: str
    task_id: int | None
    session_id: str
    last_line: str
    driver: str
    account: str
    output_tokens_per_minute: float
    output_tokens_by_minute: list[int] = Field(
        description=f"The last {snapshot.SPARK_MINUTES} minutes, oldest first."
    )
    since: datetime | None
    is_sandboxed: bool | None = Field(description="Null: no live session.")


class FleetView(View):
    at: datetime
    strip: StripView
    tiles: list[TileView]
    permissions: list[PermissionView]
    reviews: list[int] = Field(description="Merge requests that can be decided.")
    failed_tasks: list[int]


@router.get("/fleet", tags=["fleet"], summary="What the Fleet page shows")
def show_fleet(ctx: Ctx) -> FleetView:
    snap = snapshot.take(ctx)
    return FleetView(
        at=snap.now,
        strip=_strip(fleet.strip(snap)),
        tiles=[_tile(tile, snap) for tile in fleet.tiles(snap)],
        permissions=[PermissionView.model_validate(ask) for ask in snap.permissions],
        reviews=[request.id or 0 for request in snap.to_review],
        failed_tasks=[task.id or 0 for task in inbox.failed(snap)],
    )


def _strip(strip: fleet.Strip) -> StripView:
    return StripView(
        output_tokens_per_minute=strip.rate,
        agents_by_state=dict(strip.states),
        oldest_wait_at=strip.oldest_wait,
        permissions=strip.waiting,
        to_review=strip.to_review,
        queued=strip.queued,
    )


def _tile(tile: fleet.Tile, snap: snapshot.Snapshot) -> TileView:
    shown = {field: getattr(tile, field) for field in TileView.model_fields if hasattr(tile, field)}
    return TileView(
        **shown,
        output_tokens_per_minute=tile.rate,
        output_tokens_by_minute=snap.rates.get(tile.session_id, []),
    )
