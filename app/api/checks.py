"""Checks over JSON: how one stands, what it prints, run it again, stop it."""

from fastapi import APIRouter
from pydantic import Field
from sqlmodel import Session as Orm

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.review_schemas import CheckView, RunView
from app.api.schemas import View
from app.models import Check
from app.services import check_log
from app.services import checks as services
from app.store import checks as store

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["checks"])


class CheckDetail(CheckView):
    """A check, whose it is, and every run of its tree."""

    merge_request_id: int | None
    batch_id: int | None
    is_flaky: bool = Field(description="Runs of this very tree contradict each other.")
    runs: list[RunView] = Field(description="All of this tree by this command, oldest first.")


class LogPiece(View):
    text: str
    next_offset: int = Field(description="Ask from here on for what follows.")
    is_over: bool = Field(description="Nothing more will follow.")


@router.get("/reviews/{merge_request_id}/checks", summary="Its checks, newest first")
def list_checks(ctx: Ctx, merge_request_id: int) -> list[CheckDetail]:
    with ctx.db.read() as db:
        return [_detail(db, check) for check in store.of_request(db, merge_request_id)]


@router.get("/checks/{check_id}", summary="One check, and every run of its tree")
def show_check(ctx: Ctx, check_id: int) -> CheckDetail:
    with ctx.db.read() as db:
        return _detail(db, store.existing(db, check_id))


@router.get("/checks/{check_id}/log", summary="What it prints, 64 KB at a time")
def read_log(ctx: Ctx, check_id: int, offset: int = 0) -> LogPiece:
    """From a byte on; a negative `offset` counts from the end."""
    return LogPiece.model_validate(check_log.tail(ctx, check_id, offset))


@router.post("/checks/{check_id}/rerun", summary="Run the same tree again", status_code=201)
def rerun(ctx: Ctx, check_id: int) -> CheckDetail:
    return show_check(ctx, services.rerun(ctx, check_id).id or 0)


@router.post("/checks/{check_id}/cancel", summary="Stop it and all of its processes")
def cancel(ctx: Ctx, check_id: int) -> CheckDetail:
    services.cancel(ctx, check_id)
    return show_check(ctx, check_id)


def _detail(db: Orm, check: Check) -> CheckDetail:
    runs = store.runs(db, check.tree_sha, check.command)
    more = {"is_flaky": store.is_flaky(runs), "runs": [RunView.model_validate(r) for r in runs]}
    return CheckDetail.model_validate({**check.model_dump(), **more})
