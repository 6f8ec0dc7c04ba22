"""The rehearsal model server on loopback: routes, the record of requests, its thread."""

import json
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.errors import AgentError
from agents.rehearsal.accounts import Account, Meters
from agents.rehearsal.counts import Key, Tokens
from agents.rehearsal.meters import MeterPages
from agents.rehearsal.scenario import Library
from agents.rehearsal.stage import Stage, refusal

_KEPT_HEADERS = (
    "user-agent",
    "authorization",
    "x-api-key",
    "session-id",
    "anthropic-beta",
    "chatgpt-account-id",
)


class Recorded(msgspec.Struct, frozen=True):
    """One model request as it came in."""

    protocol: str
    scenario: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class RehearsalServer:
    """Serves scenarios on 127.0.0.1 from a thread for as long as the `with` block lasts."""

    def __init__(
        self,
        directory: Path | None = None,
        port: int = 0,
        keep_requests: int = 500,
        accounts: Mapping[str, Account] | None = None,  # by key, token or account id
    ) -> None:
        self.library = Library(directory)
        self._meters = Meters(accounts or {})
        self._requests: deque[Recorded] = deque(maxlen=keep_requests)
        self._count = 0
        self._changed = threading.Condition()
        self._ready = threading.Event()
        try:
            self._socket = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            why = f"Port {port} is not free ({error.strerror}); choose another, or 0 for any."
            raise AgentError(why) from error
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            Starlette(routes=self._routes(), lifespan=self._lifespan),
            loop="asyncio",
            http="h11",
            ws="none",
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._stage = Stage(self.library, self._server, self._meters)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="rehearsal", daemon=True
        )

    @property
    def url(self) -> str:
        """The server's own address."""
        return f"http://127.0.0.1:{self.port}"

    def anthropic_url(self, scenario: str = "auto") -> str:
        """The ANTHROPIC_BASE_URL that plays this scenario, or one chosen by the first prompt."""
        return f"{self.url}/s/{scenario}"

    def openai_url(self, scenario: str = "auto") -> str:
        """The OpenAI base_url that plays this scenario, or one chosen by the first prompt."""
        return f"{self.url}/s/{scenario}/v1"

    @property
    def requests(self) -> list[Recorded]:
        """The latest model requests, oldest first."""
        with self._changed:
            return list(self._requests)

    @property
    def counted(self) -> dict[Key, Tokens]:
        """Tokens by credential and model, of all calls whose bill was sent, since the start."""
        return self._stage.counts.whole()

    @property
    def cut(self) -> dict[Key, Tokens]:
        """The same of calls that broke off before: what their clients had been told by then."""
        return self._stage.counts.cut()

    def wait_for_requests(self, count: int, seconds: float = 10) -> list[Recorded]:
        """The requests once so many have come in all; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, seconds):
                raise TimeoutError(f"{self._count} of {count} requests came in {seconds} s")
            return list(self._requests)

    def forget(self) -> None:
        """Start the record of requests anew."""
        with self._changed:
            self._requests.clear()
            self._count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the rehearsal server did not start within 10 s")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(5)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._ready.set()
        yield

    def _routes(self) -> list[Route]:
        return [
            Route("/", self._index),
            Route("/s/{scenario}/api/hello", self._hello),
            Route("/s/{scenario}/v1/messages", self._messages, methods=["POST"]),
            Route("/s/{scenario}/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
            Route("/s/{scenario}/v1/responses", self._responses, methods=["POST"]),
            Route("/s/{scenario}/v1/models", self._models),
            *MeterPages(self.library, self._meters).routes(),
        ]

    async def _index(self, _: Request) -> Response:
        titles = {name: scenario.title for name, scenario in self.library.scenarios.items()}
        return JSONResponse({"rehearsal": True, "scenarios": titles})

    async def _hello(self, _: Request) -> Response:
        return JSONResponse({"message": "hello"})

    async def _models(self, request: Request) -> Response:
        now = int(time.time())
        if "anthropic-version" in request.headers:
            model = {"type": "model", "id": "claude-rehearsal", "display_name": "Rehearsal"}
            model["created_at"] = "2026-01-01T00:00:00Z"
            return JSONResponse({"data": [model], "has_more": False})
        entry = {"id": "gpt-rehearsal", "object": "model", "created": now, "owned_by": "rehearsal"}
        return JSONResponse({"object": "list", "data": [entry]})

    async def _count_tokens(self, request: Request) -> Response:
        return JSONResponse({"input_tokens": max(1, len(await request.body()) // 4)})

    async def _messages(self, request: Request) -> Response:
        return await self._answer("anthropic", request)

    async def _responses(self, request: Request) -> Response:
        return await self._answer("openai", request)

    async def _answer(self, protocol: str, request: Request) -> Response:
        try:
            body = json.loads(await request.body())
        except (ValueError, ClientDisconnect) as error:
            return refusal(400, f"the request is not JSON: {error}")
        if not isinstance(body, dict):
            return refusal(400, "the request is not a JSON object")
        self._record(protocol, request, body)
        return await self._stage.answer(protocol, request, body)

    def _record(self, protocol: str, request: Request, body: dict[str, Any]) -> None:
        scenario = request.path_params["scenario"]
        headers = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
        with self._changed:
            self._requests.append(Recorded(protocol, scenario, request.url.path, headers, body))
            self._count += 1
            self._changed.notify_all()


def serve(port: int = 0, directory: Path | None = None) -> None:
    """Serve on loopback until SIGTERM or SIGINT; the first line of stdout is the URL."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with RehearsalServer(directory, port, keep_requests=20) as rehearsal:
        sys.stdout.write(f"{rehearsal.url}\n")
        sys.stdout.flush()
        stop.wait()
