"""Every failure as one sentence with its status: a page, a notice or JSON, as the caller reads."""

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.errors import AppError
from app.web import answers
from app.web.render import fragment

log = structlog.get_logger()
_TITLES = {404: "Not found", 409: "Changed in the meantime", 503: "Not now"}
_SENTENCES = {
    404: "There is no such page; go back to the fleet.",
    405: "This address does not take that kind of request.",
}


def install(app: FastAPI) -> None:
    """Handlers for our errors, the framework's, and the unforeseen."""
    app.add_exception_handler(AppError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unforeseen)


def answer(
    request: Request, status: int, code: str, message: str, *, permanent: bool = True
) -> Response:
    if request.url.path.startswith("/api/"):
        error = {"code": code, "message": message, "retryable": not permanent}
        return JSONResponse({"error": error}, status)
    if request.headers.get("hx-request") == "true":
        return answers.refused(message, status)
    title = _TITLES.get(status, "That did not work")
    return HTMLResponse(fragment("error.html", title=title, message=message), status)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    return answer(request, error.status, error.code, error.message, permanent=error.permanent)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return answer(request, 422, "invalid", f"{where or 'The request'}: {first['msg']}.")


async def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = _SENTENCES.get(error.status_code, str(error.detail))
    return answer(request, error.status_code, "refused", sentence)


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("request failed", path=request.url.path, exc_info=error)
    sentence = "Something broke in Quarterdeck itself; its log has the details. Try again."
    return answer(request, 500, "broken", sentence, permanent=False)
