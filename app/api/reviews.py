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
    FileSeen,
    LandingView,
    Rejection,
    ReviewRowView,
    ReviewView,
    RoundView,
    SeenGiven,
    SeenView,
    Unticked,
)
from app.errors import NotFound
from app.models import MergeRequest
from app.models.base import utc_now
from app.services import deciding, diffs, ranking, rounds, seen, verdicts
from app.services import reviews as services
from app.services.comment_lines import lines_now
from app.services.rank_rules import rank
from app.store import checks, merge_requests, radar

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["reviews"])


@router.get("/reviews", summary="Open merge requests as ranked, or the closed ones newest first")
def list_reviews(ctx: Ctx, closed: bool = False, limit: int = 50) -> list[ReviewRowView]:
    with ctx.db.read() as db:
        if closed:
            rows = _rows(db, merge_requests.closed(db, max(1, min(limit, 1000))))
        else:
            rows = _rows(db, merge_requests.open_ones(db))
            rows.sort(key=lambda row: (-row["rank"], row["id"]))
        return [ReviewRowView.model_validate(row) for row in rows]


@router.get("/reviews/{merge_request_id}", summary="One merge request")
def show_review(ctx: Ctx, merge_request_id: int) -> ReviewView:
    with ctx.db.read() as db:
        row = merge_requests.existing(db, merge_request_id)
        check = merge_requests.latest_check(db, merge_request_id)
        landing = merge_requests.landing_of(db, merge_request_id)
        comments = merge_requests.comments(db, merge_request_id)
        now = lines_now(ctx, row, comments)
        more = {
            "latest_check": CheckView.model_validate(check) if check else None,
            "comments": [{**c.model_dump(), "line_now": now.get(c.id or 0)} for c in comments],
            "landing": LandingView.model_validate(landing) if landing else None,
            "rounds": [RoundView.model_validate(each) for each in rounds.of(db, merge_request_id)],
        }
        return ReviewView.model_validate({**_rows(db, [row])[0], **more})


@router.get("/reviews/{merge_request_id}/diff", summary="Its commits and its diff")
def show_diff(ctx: Ctx, merge_request_id: int) -> DiffView:
    with ctx.db.read() as db:
        merge_requests.existing(db, merge_request_id)
    diff = diffs.stored_diff(ctx, merge_request_id=merge_request_id)
    if diff is None:
        raise NotFound("The diff of this commit is not computed yet; try again in a moment.")
    return DiffView.model_validate(diff)


@router.get("/reviews/{merge_request_id}/since", summary="What changed since you last looked")
def show_since(ctx: Ctx, merge_request_id: int) -> DiffView:
    with ctx.db.read() as db:
        merge_requests.existing(db, merge_request_id)
    diff = diffs.since_seen(ctx, merge_request_id=merge_request_id)
    if diff is None:
        raise NotFound("You looked at no earlier state of it, so all of it is new.")
    return DiffView.model_validate(diff)


@router.get("/reviews/{merge_request_id}/seen", summary="What you looked at, what is still to see")
def show_seen(ctx: Ctx, merge_request_id: int) -> SeenView:
    with ctx.db.read() as db:
        gate = deciding.gate(ctx, db, merge_requests.existing(db, merge_request_id))
    files = [FileSeen(path=path, state=state) for path, state in gate.states.items()]
    return SeenView(care=gate.care, files=files, missing=list(gate.missing))


@router.post("/reviews/{merge_request_id}/seen", summary="You were shown files of it, or read them")
def note_seen(ctx: Ctx, merge_request_id: int, given: SeenGiven) -> SeenView:
    seen.note(ctx, merge_request_id=merge_request_id, **given.model_dump())
    return show_seen(ctx, merge_request_id)


@router.post("/reviews/{merge_request_id}/untick", summary="Take ticks back")
def untick(ctx: Ctx, merge_request_id: int, given: Unticked) -> SeenView:
    seen.untick(ctx, merge_request_id=merge_request_id, **given.model_dump())
    return show_seen(ctx, merge_request_id)


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


@router.post("/reviews/{merge_request_id}/undo", summary="Take the verdict back, or the merge")
def undo(ctx: Ctx, merge_request_id: int) -> ReviewView:
    """It is open again; of a merged one, the merge request that reverts it is answered."""
    row = verdicts.undo_verdict(ctx, merge_request_id=merge_request_id)
    return show_review(ctx, row.id or 0)


def _rows(db: Orm, requests: list[MergeRequest]) -> list[dict[str, Any]]:
    newest = checks.newest_of_each(db, [request.id or 0 for request in requests])
    facts = ranking.facts(db, requests, utc_now())
    ranks = {each.request_id: each for each in rank(facts.values())}
    names, looks = agent_names(db), radar.every(db)
    rows = []
    for request in requests:
        number = request.id or 0
        look = looks.get((request.repository_id, request.base_branch))
        is_open = request.state in merge_requests.OPEN_STATES
        rows.append(
            {
                **request.model_dump(),
                "agent": names.get(request.agent_id),
                "check": newest[number].state if number in newest else "",
                "overlaps": radar.overlaps(look, request),
                "rank": ranks[number].points if is_open else None,
                "rank_reasons": ranks[number].reasons if is_open else [],
                "cost_usd": facts[number].cost_usd,
                "output_tokens": facts[number].output_tokens,
                "waiters": list(facts[number].waiters),
            }
        )
    return rows
