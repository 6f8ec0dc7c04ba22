"""Every refusal of the API has one shape: `{"error": {code, message, retryable}}`."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from app.api.schemas import ProblemReply
from app.errors import AppError

# For the OpenAPI document: what any route may answer besides its own reply.
RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {"model": ProblemReply, "description": "No token, or a wrong one."},
    404: {"model": ProblemReply, "description": "There is no such thing."},
    409: {"model": ProblemReply, "description": "It changed in the meantime."},
    422: {"model": ProblemReply, "description": "The input is not usable."},
    503: {"model": ProblemReply, "description": "Not possible now."},
}


def reply(code: str, message: str, status: int, *, retryable: bool = False) -> JSONResponse:
    """The one shape, for the handlers of the app as well (unknown path, wrong method)."""
    error = {"code": code, "message": message, "retryable": retryable}
    return JSONResponse({"error": error}, status)


class ApiRoute(APIRoute):
    """Turns what services raise, and input that does not fit, into that shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except AppError as error:
                retryable = not error.permanent
                return reply(error.code, str(error), error.status, retryable=retryable)
            except RequestValidationError as error:
                return reply("invalid", _sentence(error), 422)

        return guarded


def _sentence(error: RequestValidationError) -> str:
    """The first mistakes by their place; the values stay out, they may be secret."""
    places = [
        f"{'.'.join(str(part) for part in each['loc'] if part != 'body') or 'the body'}: "
        f"{each['msg']}"
        for each in error.errors()[:3]
    ]
    return f"The request does not fit: {'; '.join(places)}. See /api/v1/openapi.json."
