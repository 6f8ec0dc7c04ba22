"""Reviews: the ranked list, one merge request, and the verdicts. Each is for the commit shown."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.errors import AppError, Invalid
from app.services import reviews as reviews_service
from app.web import answers
from app.web.contexts import reviews, snapshot
from app.web.deps import Ctx
from app.web.render import fragment, page

router = APIRouter()
HeadSha = Annotated[str, Form(pattern="^[0-9a-f]{40,64}$")]


@router.get("/reviews")
def index(request: Request, ctx: Ctx) -> Response:
    snap = snapshot.take(ctx)
    data = reviews.listing(ctx, snap)
    return page(request, "reviews/index.html", live="reviews", snap=snap, reviews=data)


@router.post("/reviews/approve")
def approve_many(
    request: Request, ctx: Ctx, pick: Annotated[list[str] | None, Form()] = None
) -> Response:
    """`pick` is "12:SHA" for each; what can't be approved is said, the others go ahead."""
    if not pick:
        raise Invalid("Select at least one merge request.")
    problems = []
    for choice in pick:
        number, _, head_sha = choice.partition(":")
        try:
            reviews_service.approve(ctx, merge_request_id=_number(number), head_sha=head_sha)
        except AppError as error:
            problems.append(f"#{number}: {error}")
    said = f"Approved {len(pick) - len(problems)} of {len(pick)}."
    return answers.done(request, " ".join([said, *problems]), "reviews", "inbox")


@router.get("/reviews/{merge_request_id}")
def show(request: Request, ctx: Ctx, merge_request_id: int) -> Response:
    data = reviews.one(ctx, merge_request_id)
    seen = data.row.request.head_sha
    live = f"review:{merge_request_id}:{seen}"
    return page(request, "reviews/show.html", live=live, review=data, seen=seen)


@router.get("/reviews/{merge_request_id}/diff")
def diff(ctx: Ctx, merge_request_id: int, seen: str = "") -> Response:
    """The diff once it is computed; until then nothing changes on the page."""
    data = reviews.one(ctx, merge_request_id)
    if data.diff is None or data.row.request.head_sha != seen:
        return Response(status_code=204)
    return HTMLResponse(fragment("reviews/_diff.html", review=data, seen=seen))


@router.post("/reviews/{merge_request_id}/approve")
def approve(
    request: Request,
    ctx: Ctx,
    merge_request_id: int,
    head_sha: HeadSha,
    force: Annotated[str, Form()] = "",
) -> Response:
    reviews_service.approve(
        ctx, merge_request_id=merge_request_id, head_sha=head_sha, force=bool(force)
    )
    return _done(request, "Approved; it lands once its check passes.", merge_request_id, head_sha)


@router.post("/reviews/{merge_request_id}/reject")
def reject(
    request: Request,
    ctx: Ctx,
    merge_request_id: int,
    head_sha: HeadSha,
    reason: Annotated[str, Form()] = "",
) -> Response:
    reviews_service.reject(
        ctx, merge_request_id=merge_request_id, head_sha=head_sha, reason=reason.strip()
    )
    return _done(request, "Rejected; the branch is kept.", merge_request_id, head_sha)


@router.post("/reviews/{merge_request_id}/changes")
def request_changes(
    request: Request,
    ctx: Ctx,
    merge_request_id: int,
    head_sha: HeadSha,
    body: Annotated[str, Form()] = "",
) -> Response:
    reviews_service.request_changes(
        ctx, merge_request_id=merge_request_id, head_sha=head_sha, body=body.strip()
    )
    return _done(request, "Sent back to its author.", merge_request_id, head_sha)


@router.post("/reviews/{merge_request_id}/comments")
def comment(
    ctx: Ctx,
    merge_request_id: int,
    head_sha: HeadSha,
    body: Annotated[str, Form()],
    path: Annotated[str, Form()] = "",
    line: Annotated[int | None, Form(ge=1)] = None,
    side: Annotated[str, Form()] = "new",
) -> HTMLResponse:
    """The comment's row, in place of the form that it was written in."""
    kept = reviews_service.comment(
        ctx,
        merge_request_id=merge_request_id,
        head_sha=head_sha,
        path=path,
        line=line,
        side=side,
        body=body,
    )
    return HTMLResponse(fragment("reviews/_comment.html", comments=[kept]))


@router.post("/reviews/{merge_request_id}/undo")
def undo(ctx: Ctx, merge_request_id: int) -> Response:
    revert = reviews_service.undo(ctx, merge_request_id=merge_request_id)
    return answers.go(f"/reviews/{revert.id}")


def _done(request: Request, said: str, merge_request_id: int, head_sha: str) -> Response:
    shown = f"review:{merge_request_id}:{head_sha}"
    return answers.done(request, said, shown, "reviews", "inbox")


def _number(text: str) -> int:
    if not text.isdigit() or len(text) > 12:
        raise Invalid(f"{text[:20]!r} is no merge request.")
    return int(text)
