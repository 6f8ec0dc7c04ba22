"""The record: which model is good at what, and whether the dispatcher goes by it."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from app.services import preferring
from app.web import answers
from app.web.contexts import record
from app.web.deps import Ctx
from app.web.render import page

router = APIRouter()


@router.get("/record")
def index(request: Request, ctx: Ctx, by: str = "label") -> Response:
    data = record.one(ctx, by)
    return page(request, "record/index.html", live=f"record:{by}", record=data, bys=record.BYS)


@router.post("/record/preference")
def prefer(
    request: Request,
    ctx: Ctx,
    on: Annotated[str, Form()] = "",
    by: Annotated[str, Form()] = "label",
) -> Response:
    now = preferring.set_on(ctx, bool(on))
    notice = "Models are preferred by their record." if now else "The record is no longer asked."
    return answers.done(request, notice, f"record:{by}")
