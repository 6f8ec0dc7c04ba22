"""One shell command of a repository's own, run boxed, time-limited, and ended as a group."""

import hashlib
import math
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO

from agents import reaper, sandbox
from agents.base import LaunchSpec
from app.git.run import kill_group
from app.services.context import Context
from app.services.environment import box, child_environment

OUTPUT_BYTES = 10_000_000  # of the log's beginning; of what follows, the end is kept
LEAST_FREE_BYTES = 256_000_000  # a command that fills the disk is stopped before it is full
_TAIL_BYTES = 64_000
_SAYS = {"time": "\n[stopped after {:.0f} s]", "disk": "\n[stopped: the disk is full]"}
_LOOK_SECONDS, _RING_SECONDS, _DRAIN_SECONDS = 0.2, 0.25, 1.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: `exit_code` None where it was stopped, `stopped` says for what."""

    exit_code: int | None
    output_tail: str
    stopped: str = ""  # time | disk | cancel


def run_boxed(
    ctx: Context,
    command: str,
    *,
    cwd: Path,
    home: Path,
    log: Path,
    limit_seconds: float,
    read_write: Sequence[Path] = (),
    read_only: Sequence[Path] = (),
    env: dict[str, str] | None = None,
    cancelled: Event | None = None,
    on_output: Callable[[], None] = lambda: None,
) -> Ended:
    """Run it to its end or limit, or until `cancelled`; blocking. Output goes to `log`, its middle
    left out where it grows too long; `on_output` is called at most four times a second."""
    mark = _mark(log)
    given = {"CI": "true", reaper.MARK: mark} | (env or {})
    whole_env = child_environment(home, "quarterdeck") | given
    spec = LaunchSpec(
        session_id=mark,
        driver="",
        cwd=str(cwd),
        home=str(home),
        env=whole_env,
        sandbox=box(ctx, [cwd, home, *read_write], read_only, env or {}),
    )
    argv = ["/bin/sh", "-c", command]
    process = subprocess.Popen(
        sandbox.wrap(argv, spec) if spec.sandbox else argv,
        cwd=cwd,
        env=whole_env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    watch = _Watch(cwd, time.monotonic() + limit_seconds, cancelled or Event())
    try:
        with log.open("wb") as file:
            output = _Output(file, on_output)
            stopped = _copy_output(process, output, watch)
            output.finish(_SAYS.get(stopped, "").format(limit_seconds))
        exit_code = None if stopped else _exit_status(process.wait())
    finally:
        kill_group(process)
        end_leftovers(log)  # a daemon that left the group, where no box ended it
        if process.stdout is not None:
            process.stdout.close()
    return Ended(exit_code, _tail(log), stopped)


def end_leftovers(log: Path) -> None:
    """End whatever still runs of the command that wrote this log."""
    reaper.kill_marked(_mark(log))


def _mark(log: Path) -> str:
    """The same after a crash of the server, and no other server's."""
    return f"boxed-{hashlib.sha256(os.fsencode(log.absolute())).hexdigest()[:16]}"


def _exit_status(returncode: int) -> int:
    """As a shell tells it: 128 and the signal's number where a signal ended it."""
    return returncode if returncode >= 0 else 128 - returncode


@dataclass(frozen=True)
class _Watch:
    """What a command may not outrun."""

    place: Path
    deadline: float  # of the monotonic clock
    cancelled: Event

    def reason(self) -> str:
        """Why it must stop now, or ""."""
        if self.cancelled.is_set():
            return "cancel"
        if time.monotonic() >= self.deadline:
            return "time"
        return "disk" if shutil.disk_usage(self.place).free < LEAST_FREE_BYTES else ""


class _Output:
    """The log as it grows: its beginning as it comes, and at the end the last of the rest."""

    def __init__(self, file: IO[bytes], on_output: Callable[[], None]) -> None:
        self._file, self._room = file, OUTPUT_BYTES
        self._left_out, self._last = 0, b""
        self._ring, self._rung_at, self._is_news = on_output, 0.0, False

    def add(self, chunk: bytes) -> None:
        now, later = chunk[: self._room], chunk[self._room :]
        if now:
            self._room -= self._file.write(now)
            self._file.flush()
            self._is_news = True
        if later:
            self._left_out += len(later)
            self._last = (self._last + later)[-_TAIL_BYTES:]

    def ring(self) -> None:
        """Tell who follows, unless they were told just now."""
        now = time.monotonic()
        if self._is_news and now - self._rung_at >= _RING_SECONDS:
            self._is_news, self._rung_at = False, now
            self._ring()

    def finish(self, note: str) -> None:
        if cut := self._left_out - len(self._last):
            self._file.write(f"\n[{cut} bytes of output left out]\n".encode())
        self._file.write(self._last + note.encode())


def _copy_output(process: subprocess.Popen[bytes], output: _Output, watch: _Watch) -> str:
    """Drain the pipe until the command ends; why it must be stopped, "" where it ended itself."""
    assert process.stdout is not None
    fd, is_open, drain_until = process.stdout.fileno(), True, math.inf
    while not (stopped := watch.reason()):
        has_ended = process.poll() is not None
        if has_ended:  # a daemon that keeps the pipe open, or writes on, does not keep us
            drain_until = min(drain_until, time.monotonic() + _DRAIN_SECONDS)
        chunk = None
        if is_open:
            chunk = _read_within(fd, 0 if has_ended else _LOOK_SECONDS)
            is_open = chunk != b""
        elif not has_ended:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
        if chunk:
            output.add(chunk)
        if has_ended and (not chunk or time.monotonic() >= drain_until):
            return ""
        output.ring()
    return stopped


def _read_within(fd: int, seconds: float) -> bytes | None:
    """What the pipe has; b"" at its end, None where nothing came in time."""
    if not select.select([fd], [], [], seconds)[0]:
        return None
    return os.read(fd, 65_536)


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace").replace("\0", "\ufffd")
