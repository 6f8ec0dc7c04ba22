"""The page of one merge request: its diff, what was seen of it, remarks on it."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.errors import NotFound
from app.models.base import utc_now
from app.services import diffs
from app.services import reviews as reviews_service
from app.services import seen as seen_service
from app.services.context import Context
from app.web import regions
from app.web.contexts import check
from app.web.contexts import review as context
from app.web.deps import Ctx, HeadSha
from app.web.diffview import path_of
from app.web.render import fragment, page

router = APIRouter()


@router.get("/reviews/{merge_request_id}")
def show(request: Request, ctx: Ctx, merge_request_id: int, view: str = "") -> Response:
    data = context.one(ctx, merge_request_id)
    seen = data.row.request.head_sha
    live = f"review:{merge_request_id}:{seen},output:{merge_request_id}"
    return page(
        request,
        "reviews/show.html",
        live=live,
        review=data,
        shown=context.shown(ctx, data, view),
        checked=check.of_request(ctx, merge_request_id),
        seen=seen,
    )


@router.get("/reviews/{merge_request_id}/diff")
def diff(ctx: Ctx, merge_request_id: int, seen: str = "") -> Response:
    """The diff once it is computed; until then nothing changes on the page."""
    data = context.one(ctx, merge_request_id)
    shown = context.shown(ctx, data)
    if shown.diff is None or data.row.request.head_sha != seen:
        return Response(status_code=204)
    shared = {"review": data, "shown": shown, "seen": seen, "now": utc_now()}
    return HTMLResponse(fragment("reviews/_diff.html", **shared))


@router.post("/reviews/{merge_request_id}/seen")
def seen(ctx: Ctx, merge_request_id: int, head_sha: HeadSha) -> HTMLResponse:
    """The page with this commit's files was opened and is looked at."""
    seen_service.note(ctx, merge_request_id=merge_request_id, head_sha=head_sha)
    return _drawn(ctx, merge_request_id, head_sha)


@router.post("/reviews/{merge_request_id}/ticks")
def tick(
    ctx: Ctx,
    merge_request_id: int,
    head_sha: HeadSha,
    file: Annotated[str, Form()],
    ticked: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """`file` is the key of its path: "I have read it", or not after all."""
    paths = [_path(ctx, merge_request_id, head_sha, file)]
    deed = partial(seen_service.note, ticked=True) if ticked else seen_service.untick
    deed(ctx, merge_request_id=merge_request_id, head_sha=head_sha, paths=paths)
    return _drawn(ctx, merge_request_id, head_sha)


@router.post("/reviews/{merge_request_id}/comments")
def comment(
    ctx: Ctx,
    merge_request_id: int,
    head_sha: HeadSha,
    body: Annotated[str, Form()],
    file: Annotated[str, Form()] = "",
    line: Annotated[int | None, Form(ge=1)] = None,
    side: Annotated[str, Form()] = "new",
) -> HTMLResponse:
    """The comment's row, in place of the form that it was written in."""
    kept = reviews_service.comment(
        ctx,
        merge_request_id=merge_request_id,
        head_sha=head_sha,
        path=_path(ctx, merge_request_id, head_sha, file) if file else "",
        line=line,
        side=side,
        body=body,
    )
    return HTMLResponse(fragment("reviews/_comment.html", comments=[kept]))


def _path(ctx: Context, merge_request_id: int, head_sha: str, key: str) -> str:
    listed = diffs.changed_files(ctx, merge_request_id, head_sha)
    if listed is None:
        raise NotFound("The diff of this commit is gone; load the page again.")
    return path_of(listed.files, key)


def _drawn(ctx: Context, merge_request_id: int, head_sha: str) -> HTMLResponse:
    return HTMLResponse(regions.draw(ctx, [f"review:{merge_request_id}:{head_sha}"]))
