"""The way in: paste the token, get a cookie. And the health check."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from app.web.deps import Gate
from app.web.render import fragment
from app.web.security import set_cookie

router = APIRouter()
_WRONG = "This token is not valid. `quarterdeck token` prints the right one."
_SLOW = "Too many wrong tokens; wait a minute."


@router.get("/login")
def form(wrong: str = "") -> HTMLResponse:
    return HTMLResponse(fragment("login.html", problem=_WRONG if wrong else ""))


@router.post("/login")
def log_in(request: Request, guard: Gate, token: Annotated[str, Form()] = "") -> Response:
    was_throttled = guard.is_throttled()
    if not guard.log_in(token.strip()):
        problem, status = (_SLOW, 429) if was_throttled else (_WRONG, 401)
        return HTMLResponse(fragment("login.html", problem=problem), status)
    response = RedirectResponse("/", status_code=303)
    set_cookie(response, request.scope, guard)
    return response


@router.get("/healthz")
def healthz() -> PlainTextResponse:
    """Says that the server answers, and nothing else."""
    return PlainTextResponse("ok")
