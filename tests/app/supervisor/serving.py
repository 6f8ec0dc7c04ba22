"""`quarterdeck serve` in a process of its own, to be probed and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from app import paths

SECONDS = 40.0


class Server:
    """One server of one home; `start` again after `kill`."""

    def __init__(self, home: Path, cwd: Path) -> None:
        self._home, self._cwd = home, cwd
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {
            **os.environ,
            "QUARTERDECK_HOME": str(self._home),
            "QUARTERDECK_START_INTERVAL_SECONDS": "0",
            "PYTHONPATH": str(paths.ROOT),
        }
        command = "from app.cli import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", command, "serve", "--port", "0"],
            cwd=self._cwd,
            env=env,
            stdout=subprocess.DEVNULL,
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """Its address, once it answers."""
        info = self._home / "server.json"
        wait(lambda: info.exists() and json.loads(info.read_text())["pid"] == self.pid)
        return str(json.loads(info.read_text())["url"])

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None


def wait(ready: Callable[[], bool], seconds: float = SECONDS) -> None:
    """The store is another process's: look, and look again."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
