"""A union of merge requests: made of a selection, looked at as one diff, approved as a batch."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.errors import NotFound
from app.services import seen as seen_service
from app.services import unions as service
from app.services.context import Context
from app.web import answers, regions
from app.web.contexts import check
from app.web.contexts import unions as context
from app.web.deps import Ctx, HeadSha
from app.web.diffview import path_of
from app.web.forms import picked
from app.web.render import page

router = APIRouter()


@router.post("/unions")
def make(ctx: Ctx, pick: Annotated[list[str] | None, Form()] = None) -> Response:
    """`pick` is "12:SHA" for each; goes to the page of their union."""
    union = service.make(ctx, [number for number, _ in picked(pick)])
    return answers.go(f"/unions/{union.id}")


@router.get("/unions/{batch_id}")
def show(request: Request, ctx: Ctx, batch_id: int) -> Response:
    union = context.one(ctx, batch_id)
    seen = union.batch.head_sha
    return page(
        request,
        "unions/show.html",
        live=f"union:{batch_id}:{seen},output:union-{batch_id}",
        union=union,
        diff=service.diff(ctx, batch_id=batch_id),
        checked=check.of_batch(ctx, batch_id),
        seen=seen,
    )


@router.post("/unions/{batch_id}/seen")
def seen(ctx: Ctx, batch_id: int, head_sha: HeadSha) -> HTMLResponse:
    """The page was opened and is looked at: that counts for each member's files."""
    service.note_seen(ctx, batch_id=batch_id)
    return _drawn(ctx, batch_id, head_sha)


@router.post("/unions/{batch_id}/ticks")
def tick(
    ctx: Ctx,
    batch_id: int,
    head_sha: HeadSha,
    file: Annotated[str, Form()],
    ticked: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """`file` is the key of its path: "I have read it", or not after all."""
    diff = service.diff(ctx, batch_id=batch_id)
    if diff is None:
        raise NotFound("The diff of this union is gone; load the page again.")
    path = path_of(diff.files, file)
    if ticked:
        service.note_seen(ctx, batch_id=batch_id, paths=[path], ticked=True)
    else:
        _untick(ctx, context.one(ctx, batch_id), path)
    return _drawn(ctx, batch_id, head_sha)


@router.post("/unions/{batch_id}/approve")
def approve(request: Request, ctx: Ctx, batch_id: int, head_sha: HeadSha) -> Response:
    ids = service.approve(ctx, batch_id=batch_id, head_sha=head_sha)
    said = f"Approved {', '.join(f'#{number}' for number in ids)}; they land with the next train."
    return answers.done(request, said, f"union:{batch_id}:{head_sha}", "reviews", "inbox")


def _untick(ctx: Context, union: context.Union, path: str) -> None:
    for step in union.batch.steps:
        number, head_sha = step["merge_request_id"], step["head_sha"]
        if number in union.authors(path):
            seen_service.untick(ctx, merge_request_id=number, head_sha=head_sha, paths=[path])


def _drawn(ctx: Context, batch_id: int, head_sha: str) -> HTMLResponse:
    return HTMLResponse(regions.draw(ctx, [f"union:{batch_id}:{head_sha}"]))
