"""Merge requests over JSON: list, look, decide. A verdict names the commit it was made on."""

from typing import Any

from fastapi import APIRouter
from sqlmodel import Session as Orm

from app.api.deps import Ctx, agent_names
from app.api.errors import RESPONSES, ApiRoute
from app.api.review_schemas import (
    Approval,
    ChangesWanted,
    CheckView,
    CommentGiven,
    CommentView,
    DiffView,
    LandingView,
    Rejection,
    ReviewRowView,
    ReviewView,
)
from app.errors import NotFound
from app.models import Check, MergeRequest
from app.services import diffs
from app.services import reviews as services
from app.store import merge_requests, radar

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["reviews"])


@router.get("/reviews", summary="Open merge requests oldest first, or the closed ones newest first")
def list_reviews(ctx: Ctx, closed: bool = False, limit: int = 50) -> list[ReviewRowView]:
    with ctx.db.read() as db:
        if closed:
            rows = merge_requests.closed(db, max(1, min(limit, 1000)))
        else:
            rows = merge_requests.open_ones(db)
        checks = merge_requests.latest_checks(db, [row.id or 0 for row in rows])
        return [
            ReviewRowView.model_validate(_row(db, row, checks.get(row.id or 0))) for row in rows
        ]


@router.get("/reviews/{merge_request_id}", summary="One merge request")
def show_review(ctx: Ctx, merge_request_id: int) -> ReviewView:
    with ctx.db.read() as db:
        row = _existing(db, merge_request_id)
        check = merge_requests.latest_check(db, merge_request_id)
        landing = merge_requests.landing_of(db, merge_request_id)
        comments = merge_requests.comments(db, merge_request_id)
        more = {
            "latest_check": CheckView.model_validate(check) if check else None,
            "comments": [CommentView.model_validate(comment) for comment in comments],
            "landing": LandingView.model_validate(landing) if landing else None,
        }
        return ReviewView.model_validate({**_row(db, row, check), **more})


@router.get("/reviews/{merge_request_id}/diff", summary="Its commits and its diff")
def show_diff(ctx: Ctx, merge_request_id: int) -> DiffView:
    with ctx.db.read() as db:
        _existing(db, merge_request_id)
    diff = diffs.stored_diff(ctx, merge_request_id=merge_request_id)
    if diff is None:
        raise NotFound("The diff of this commit is not computed yet; try again in a moment.")
    return DiffView.model_validate(diff)


@router.post("/reviews/{merge_request_id}/approve", summary="Approve this commit for landing")
def approve(ctx: Ctx, merge_request_id: int, verdict: Approval) -> ReviewView:
    services.approve(ctx, merge_request_id=merge_request_id, **verdict.model_dump())
    return show_review(ctx, merge_request_id)


@router.post("/reviews/{merge_request_id}/reject", summary="Reject it; the branch is kept")
def reject(ctx: Ctx, merge_request_id: int, verdict: Rejection) -> ReviewView:
    services.reject(ctx, merge_request_id=merge_request_id, **verdict.model_dump())
    return show_review(ctx, merge_request_id)


@router.post("/reviews/{merge_request_id}/request-changes", summary="Send it back with comments")
def request_changes(ctx: Ctx, merge_request_id: int, verdict: ChangesWanted) -> ReviewView:
    services.request_changes(ctx, merge_request_id=merge_request_id, **verdict.model_dump())
    return show_review(ctx, merge_request_id)


@router.post("/reviews/{merge_request_id}/comments", summary="Comment", status_code=201)
def comment(ctx: Ctx, merge_request_id: int, given: CommentGiven) -> CommentView:
    """It is sent to the author with the next request for changes."""
    row = services.comment(ctx, merge_request_id=merge_request_id, **given.model_dump())
    return CommentView.model_validate(row)


@router.post("/reviews/{merge_request_id}/undo", summary="Offer the revert of a merged one")
def undo(ctx: Ctx, merge_request_id: int) -> ReviewView:
    row = services.undo(ctx, merge_request_id=merge_request_id)
    return show_review(ctx, row.id or 0)


def _existing(db: Orm, merge_request_id: int) -> MergeRequest:
    row = merge_requests.get(db, merge_request_id)
    if row is None:
        raise NotFound(
            f"There is no merge request {merge_request_id}; `quarterdeck review list` shows them."
        )
    return row


def _row(db: Orm, row: MergeRequest, check: Check | None) -> dict[str, Any]:
    return {
        **row.model_dump(),
        "agent": agent_names(db).get(row.agent_id),
        "check": check.state if check else "",
        "overlaps": radar.overlaps(radar.get(db, row.repository_id, row.base_branch), row),
    }
