"""Reviews: the ranked list, and the verdicts. Each is for the commit shown."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from app.errors import AppError
from app.models import MergeRequest
from app.services import reviews as reviews_service
from app.services import verdicts
from app.web import answers
from app.web.contexts import queue, radar, reviews, snapshot
from app.web.deps import Ctx, HeadSha
from app.web.forms import numbers, picked
from app.web.render import page

router = APIRouter()


@router.get("/reviews")
def index(request: Request, ctx: Ctx) -> Response:
    snap = snapshot.take(ctx)
    return page(
        request,
        "reviews/index.html",
        live="reviews",
        snap=snap,
        reviews=reviews.listing(ctx, snap),
        matrices=radar.matrices(snap),
        queue=queue.panel(ctx, snap),
    )


@router.post("/reviews/approve")
def approve_many(
    request: Request, ctx: Ctx, pick: Annotated[list[str] | None, Form()] = None
) -> Response:
    """`pick` is "12:SHA" for each; what can't be approved is said, the others go ahead."""
    chosen = picked(pick)
    problems = []
    for number, head_sha in chosen:
        try:
            reviews_service.approve(ctx, merge_request_id=number, head_sha=head_sha, bulk=True)
        except AppError as error:
            problems.append(str(error))
    said = f"Approved {len(chosen) - len(problems)} of {len(chosen)}."
    return answers.done(request, " ".join([said, *problems]), "reviews", "inbox")


@router.post("/reviews/{merge_request_id}/approve")
def approve(
    request: Request,
    ctx: Ctx,
    merge_request_id: int,
    head_sha: HeadSha,
    force: Annotated[str, Form()] = "",
    when_checks_pass: Annotated[str, Form()] = "",
    after: Annotated[str, Form()] = "",
) -> Response:
    """`after` names the merge requests that have to land first: "#12 #14"."""
    approved = reviews_service.approve(
        ctx,
        merge_request_id=merge_request_id,
        head_sha=head_sha,
        force=bool(force),
        when_checks_pass=bool(when_checks_pass),
        after=numbers("A merge request to wait for", after),
    )
    return _done(request, f"Approved #{approved.id}; it is in the queue.", approved)


@router.post("/reviews/{merge_request_id}/reject")
def reject(
    request: Request,
    ctx: Ctx,
    merge_request_id: int,
    head_sha: HeadSha,
    reason: Annotated[str, Form()] = "",
) -> Response:
    rejected = reviews_service.reject(
        ctx, merge_request_id=merge_request_id, head_sha=head_sha, reason=reason.strip()
    )
    return _done(request, f"Rejected #{rejected.id}; its branch is kept.", rejected)


@router.post("/reviews/{merge_request_id}/changes")
def request_changes(
    request: Request,
    ctx: Ctx,
    merge_request_id: int,
    head_sha: HeadSha,
    body: Annotated[str, Form()] = "",
) -> Response:
    returned = reviews_service.request_changes(
        ctx, merge_request_id=merge_request_id, head_sha=head_sha, body=body.strip()
    )
    return _done(request, f"Sent #{returned.id} back to its author.", returned)


@router.post("/reviews/{merge_request_id}/undo")
def undo(request: Request, ctx: Ctx, merge_request_id: int) -> Response:
    """Open again; of a merged one, the page of the request that takes it back."""
    opened = verdicts.undo_verdict(ctx, merge_request_id=merge_request_id)
    if opened.id != merge_request_id:
        return answers.go(f"/reviews/{opened.id}")
    return _done(request, f"#{opened.id} is open again.", opened)


def _done(request: Request, said: str, judged: MergeRequest) -> Response:
    shown = f"review:{judged.id}:{judged.head_sha}"
    return answers.done(request, said, shown, "reviews", "inbox")
