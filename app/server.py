"""Starts the one server of a home: lock, migration, port, uvicorn around the app.

Every refusal comes before anything is listened on, as one sentence.
"""

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from app.listen import bind
from app.lock import announce, claim
from app.main import check_bind, create_app
from app.services.access import login_url, token
from app.services.context import Context
from app.settings import Settings
from app.store.database import Database
from app.store.migrate import upgrade

SHUTDOWN_SECONDS = 5
MAX_SOCKET_MESSAGE_BYTES = 65_536
_WILDCARDS = ("0.0.0.0", "::", "")


def serve(
    settings: Settings,
    *,
    ready: Callable[[str], None],
    prepare: Callable[[Context], None] | None = None,
    supervise: bool = True,
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` gets the login address once requests are answered.

    `prepare` may use services before that. Raises HomeUnusable, ServerRunning, RemoteRefused,
    PortTaken, DatabaseNewer, DatabaseUnusable, and what `prepare` raises.
    """
    check_bind(settings)
    with claim(settings.state), bind(settings.host, settings.port) as listener:
        bound = settings.model_copy(update={"port": listener.getsockname()[1]})
        with open_context(bound) as ctx:
            if prepare is not None:
                prepare(ctx)
        url = _url(bound)

        def started() -> None:
            announce(bound.state, url)
            ready(login_url(url, token(bound.state)))

        _stop_quietly()
        _Server(bound, supervise, started).run([listener])


@contextmanager
def open_context(settings: Settings) -> Iterator[Context]:
    """What services need, on a migrated database, without a server around it."""
    upgrade(settings.database)
    database = Database(settings.database)
    try:
        yield Context(settings, database, lambda *_: None)
    finally:
        database.close()


def _url(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in _WILDCARDS else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _stop_quietly() -> None:
    """After its own shutdown uvicorn raises SIGTERM once more: run our `finally` clauses then."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


class _Server(uvicorn.Server):
    """Uvicorn as we want it; says when it answers."""

    def __init__(self, settings: Settings, supervise: bool, started: Callable[[], None]) -> None:
        self._say_started = started
        super().__init__(
            uvicorn.Config(
                create_app(settings, supervise=supervise),
                loop="asyncio",  # never uvloop: its spawn forks, and stalls everything meanwhile
                ws="websockets-sansio",
                ws_per_message_deflate=False,  # on loopback it costs three times what it saves
                ws_max_size=MAX_SOCKET_MESSAGE_BYTES,
                proxy_headers=bool(settings.allowed_hosts),  # nobody's word, where no proxy is
                access_log=False,
                server_header=False,
                log_level="warning",
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,  # open sockets must not hold us
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._say_started()
