"""What the human does with a check: run it again, stop it."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.models import Check
from app.services import checks
from app.web import answers
from app.web.deps import Ctx

router = APIRouter()


@router.post("/checks/{check_id}/rerun")
def rerun(request: Request, ctx: Ctx, check_id: int) -> Response:
    check = checks.rerun(ctx, check_id)
    return answers.done(request, f"Runs again, for the {_nth(check.run)} time.", _panel(check))


@router.post("/checks/{check_id}/cancel")
def cancel(request: Request, ctx: Ctx, check_id: int) -> Response:
    return answers.done(request, "Stopped.", _panel(checks.cancel(ctx, check_id)))


def _panel(check: Check) -> str:
    """The region that shows it."""
    of_union = check.batch_id is not None
    return f"output:union-{check.batch_id}" if of_union else f"output:{check.merge_request_id}"


def _nth(number: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")
