"""The CLI's way to the running server: its address and token from the home, JSON over HTTP."""

from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from app.errors import AppError, ServerNotRunning
from app.lock import is_running, running_url
from app.paths import Home
from app.services.access import login_url, token

TIMEOUT_SECONDS = 30.0  # a long poll of the log waits 20 of them


class Refused(AppError):
    """The server refused the request; code, status and message are the server's."""

    def __init__(self, status: int, code: str, message: str, *, permanent: bool = True) -> None:
        super().__init__(message)
        self.status, self.code, self.permanent = status, code, permanent


class Client:
    """Calls `/api/v1` of the server that holds the home's lock."""

    def __init__(self, home: Home) -> None:
        # The lock first: a stranger that took the port must not be shown the token.
        if not is_running(home):
            raise ServerNotRunning(
                f"No server runs for {home.path}; start one with `quarterdeck serve`, "
                "or set QUARTERDECK_HOME to the directory of the one that does."
            )
        url = running_url(home)
        if url is None:
            raise ServerNotRunning("The server is still starting; try again in a moment.")
        secret = token(home)
        self.login_url = login_url(url, secret)
        self._http = httpx.Client(
            base_url=f"{url}/api/v1",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,  # a proxy of the shell is not for loopback
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, /, **query: Any) -> Any:
        """The decoded answer; query values of None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path, params=given)

    def lines(self, path: str, /, **query: Any) -> Iterator[str]:
        """The answer line by line, however long it is."""
        given = {name: value for name, value in query.items() if value is not None}
        try:
            with self._http.stream("GET", path, params=given) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield from response.iter_lines()
        except httpx.HTTPError as error:
            raise self._silent(error) from error

    def post(self, path: str, /, **body: Any) -> Any:
        """The decoded answer, None where there is none; body values of None are left out."""
        return self._ask("POST", path, json=_given(body))

    def put(self, path: str, /, **body: Any) -> Any:
        """Like `post`, for what is set as a whole."""
        return self._ask("PUT", path, json=_given(body))

    def patch(self, path: str, /, lifted: Iterable[str] = (), **body: Any) -> Any:
        """Like `post`: what is given is changed; the fields named in `lifted` become nothing."""
        return self._ask("PATCH", path, json=_given(body) | dict.fromkeys(lifted))

    def delete(self, path: str, /) -> None:
        self._ask("DELETE", path)

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            response = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if response.is_error:
            raise _refusal(response)
        return response.json() if response.content else None

    def _silent(self, error: httpx.HTTPError) -> ServerNotRunning:
        return ServerNotRunning(
            f"The server at {self._http.base_url.host} does not answer "
            f"({type(error).__name__}); look at its terminal, or start it again."
        )


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _refusal(response: httpx.Response) -> Refused:
    try:
        body = response.json()
        error = body.get("error", body)
        message, code = str(error["message"]), str(error["code"])
        return Refused(
            response.status_code, code, message, permanent=not error.get("retryable", False)
        )
    except (ValueError, KeyError, AttributeError):
        what = f"The server answered {response.status_code} {response.reason_phrase}."
        return Refused(response.status_code, "http", what)
