"""A real server on a real port, in a thread of the test, that can be stopped and started."""

import socket
import threading
import time

import uvicorn
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings


class Served:
    """The application on loopback; `app` is the one that runs now."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.app: FastAPI = create_app(self.settings, supervise=False)
        config = uvicorn.Config(
            self.app,
            port=self.port,
            log_config=None,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def login(self) -> str:
        return f"{self.url}/?token={self.app.state.token}"

    def on_loop(self, action: object, *args: object) -> None:
        """Call something on the server's loop, as the supervisor would."""
        loop = self.app.state.bus._loop
        loop.call_soon_threadsafe(action, *args)
