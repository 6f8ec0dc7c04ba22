"""Unions over JSON: several merge requests as one diff, one check, one approval."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from sqlmodel import Session as Orm

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.review_schemas import DiffView
from app.api.schemas import Given, View
from app.errors import NotFound
from app.models import Batch
from app.services import unions as services
from app.store import batches
from app.store import unions as store

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["reviews"])


class UnionGiven(Given):
    merge_request_ids: list[int] = Field(description="In the order in which they are merged.")


class UnionSeen(Given):
    paths: list[str] | None = Field(None, description="Of its diff; left out: all of them.")
    ticked: bool = Field(False, description="Not only shown: you have read them.")


class UnionApproval(Given):
    head_sha: str = Field(description="The union's commit that was looked at, in full.")


class UnionView(View):
    """Merge requests that are looked at and decided together."""

    id: int
    base_branch: str
    base_sha: str
    members: list[dict[str, Any]]
    steps: list[dict[str, Any]] = Field(description="What is in it, each merged onto the former.")
    left: list[dict[str, Any]] = Field(description="What conflicts with the rest, and where.")
    head_sha: str = Field(description="An approval names this commit.")
    tree_sha: str
    state: str = Field(description="building, ready, stale, failed.")
    state_reason: str
    check: str = Field(description="State of the check of the whole, empty until it is asked for.")
    check_id: int | None
    created_at: datetime


class UnionApproved(View):
    merge_request_ids: list[int] = Field(description="What was approved just now.")


@router.get("/unions", summary="Unions, newest first")
def list_unions(ctx: Ctx, limit: int = 50) -> list[UnionView]:
    with ctx.db.read() as db:
        return [_view(db, union) for union in store.newest(db, max(1, min(limit, 1000)))]


@router.post("/unions", summary="Look at several merge requests together", status_code=201)
def make_union(ctx: Ctx, given: UnionGiven) -> UnionView:
    return show_union(ctx, services.make(ctx, given.merge_request_ids).id or 0)


@router.get("/unions/{batch_id}", summary="One union")
def show_union(ctx: Ctx, batch_id: int) -> UnionView:
    with ctx.db.read() as db:
        return _view(db, services.existing(db, batch_id))


@router.get("/unions/{batch_id}/diff", summary="The one diff of all that is in it")
def show_diff(ctx: Ctx, batch_id: int) -> DiffView:
    with ctx.db.read() as db:
        services.existing(db, batch_id)
    diff = services.diff(ctx, batch_id=batch_id)
    if diff is None:
        raise NotFound("This union is not built yet; try again in a moment.")
    return DiffView.model_validate(diff)


@router.post("/unions/{batch_id}/seen", summary="You were shown files of it, or read them")
def note_seen(ctx: Ctx, batch_id: int, given: UnionSeen) -> UnionView:
    """It counts for each merge request in it."""
    services.note_seen(ctx, batch_id=batch_id, paths=given.paths, ticked=given.ticked)
    return show_union(ctx, batch_id)


@router.post("/unions/{batch_id}/approve", summary="Approve all that is in it, or none")
def approve(ctx: Ctx, batch_id: int, given: UnionApproval) -> UnionApproved:
    ids = services.approve(ctx, batch_id=batch_id, head_sha=given.head_sha)
    return UnionApproved(merge_request_ids=ids)


def _view(db: Orm, union: Batch) -> UnionView:
    check = batches.check_of(db, union.id or 0, union.tree_sha)
    more = {"check": check.state if check else "", "check_id": check.id if check else None}
    return UnionView.model_validate({**union.model_dump(), **more})
