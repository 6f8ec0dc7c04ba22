"""Contests: one task done by several, side by side; pick one."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from app.services import contests as services
from app.web import answers
from app.web.contexts import contests
from app.web.deps import Ctx
from app.web.render import page

router = APIRouter()


@router.get("/contests")
def index(request: Request, ctx: Ctx) -> Response:
    sides = contests.listing(ctx)
    return page(request, "contests/index.html", live="contests", sides=sides)


@router.get("/contests/{contest_id}")
def show(request: Request, ctx: Ctx, contest_id: int) -> Response:
    side = contests.one(ctx, contest_id)
    return page(request, "contests/show.html", live=f"contest:{contest_id}", side=side)


@router.post("/contests/{contest_id}/pick")
def pick(
    request: Request,
    ctx: Ctx,
    contest_id: int,
    merge_request_id: Annotated[int, Form()],
    head_sha: Annotated[str, Form()],
) -> Response:
    services.pick(ctx, contest_id=contest_id, merge_request_id=merge_request_id, head_sha=head_sha)
    notice = f"#{merge_request_id} is picked; the others are archived."
    return answers.done(request, notice, f"contest:{contest_id}")


@router.post("/contests/{contest_id}/undo")
def undo(request: Request, ctx: Ctx, contest_id: int) -> Response:
    services.reopen(ctx, contest_id=contest_id)
    return answers.done(request, "The pick is taken back.", f"contest:{contest_id}")


@router.post("/contests/{contest_id}/cancel")
def cancel(request: Request, ctx: Ctx, contest_id: int) -> Response:
    services.cancel(ctx, contest_id=contest_id)
    return answers.done(request, "Given up; what was made is kept.", f"contest:{contest_id}")
