"""A vendor's program held by its pipes: lines in, lines out, ended for certain.

Owns spawning into a process group of its own, framing, back-pressure towards the program and the
escalation that ends it (EOF, TERM, KILL). Knows no protocol. For a runner's plain asyncio loop.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from agents.errors import AgentError, AgentNotFound, CommandRefused, VendorError

MAX_LINE_BYTES = 64 * 1024 * 1024
STDERR_TAIL_BYTES = 64 * 1024
# A grandchild may keep the pipes open after the program is gone; its words are not waited for.
DRAIN_SECONDS = 2.0


class LineFramer:
    """Cuts a byte stream into lines; a line over `limit` bytes is cut and says so."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._line = bytearray()
        self._dropped = 0

    def push(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their newline."""
        lines = []
        head, *rest = chunk.split(b"\n")
        self._add(head)
        for piece in rest:
            lines.append(self._take())
            self._add(piece)
        return lines

    def flush(self) -> list[bytes]:
        """The torn last line of a stream that ended, if there is one."""
        return [self._take()] if self._line else []

    def _add(self, piece: bytes) -> None:
        kept = piece[: self._limit - len(self._line)]
        self._line += kept
        self._dropped += len(piece) - len(kept)

    def _take(self) -> bytes:
        line = bytes(self._line)
        if self._dropped:
            line += f" [line cut: {self._dropped} more bytes]".encode()
        self._line, self._dropped = bytearray(), 0
        return line


class _Pipes(asyncio.SubprocessProtocol):
    """What the loop tells about the child, turned into callbacks and three things to wait for."""

    def __init__(
        self,
        on_line: Callable[[bytes], None],
        on_stderr: Callable[[str], None],
        on_exit: Callable[[int], None],
    ) -> None:
        self._on_line, self._on_stderr, self._on_exit = on_line, on_stderr, on_exit
        self._out, self._err = LineFramer(), LineFramer(STDERR_TAIL_BYTES)
        self.tail = bytearray()
        self.writable = asyncio.Event()
        self.writable.set()
        self.stdin_lost = False
        self.finished = asyncio.Event()  # exited, and every line of it delivered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._deliver(self._out.push(data))
            return
        self.tail = (self.tail + data)[-STDERR_TAIL_BYTES:]
        self._complain(self._err.push(data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del exc
        if fd == 0:
            self.stdin_lost = True
            self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def process_exited(self) -> None:
        # Children of a dead program are nobody's: end them while its group id is still its own.
        signal_group(self.transport.get_pid(), signal.SIGKILL)
        self.writable.set()
        asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._finish)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._finish()

    def _finish(self) -> None:
        if self.finished.is_set():
            return
        self._deliver(self._out.flush())
        self._complain(self._err.flush())
        self.finished.set()
        self.transport.close()
        code = self.transport.get_returncode()
        self._on_exit(-1 if code is None else code)

    def _deliver(self, lines: list[bytes]) -> None:
        for line in lines:
            if line.strip():
                self._on_line(line)

    def _complain(self, lines: list[bytes]) -> None:
        for line in lines:
            if line.strip():
                self._on_stderr(line.decode(errors="replace"))


class LineProcess:
    """One child in a process group of its own, spoken to in lines."""

    def __init__(self, pipes: _Pipes) -> None:
        self._pipes = pipes
        self._closing: asyncio.Task[None] | None = None
        self.pid: int = pipes.transport.get_pid()

    @classmethod
    async def start(
        cls,
        argv: list[str],
        *,
        cwd: str,
        env: dict[str, str],
        on_line: Callable[[bytes], None],
        on_stderr: Callable[[str], None],
        on_exit: Callable[[int], None],
    ) -> "LineProcess":
        """Spawn `argv` with exactly `env`; raises AgentNotFound or CommandRefused.

        Lines come without their newline, empty ones not at all. `on_exit` gets the exit code
        (minus the signal number where one ended it), once, after the last line.
        """
        if not Path(cwd).is_dir():  # noqa: ASYNC240 - one stat
            raise CommandRefused(f"{cwd} is not a directory; restore the worktree and try again.")
        try:
            _, pipes = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Pipes(on_line, on_stderr, on_exit),
                *argv,
                cwd=cwd,
                env=env,
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise AgentNotFound(argv[0], f"{error.strerror}; install it or name its path") from None
        except (OSError, ValueError) as error:  # too many files, argument too long, a null byte
            raise AgentError(f"{argv[0]} did not start: {error}") from error
        return cls(pipes)

    @property
    def returncode(self) -> int | None:
        """Exit code, None while it runs."""
        return self._pipes.transport.get_returncode()

    @property
    def stderr_tail(self) -> str:
        """The last 64 KB of what it said on stderr."""
        return bytes(self._pipes.tail).decode(errors="replace")

    async def write_line(self, line: bytes, timeout_seconds: float = 10) -> None:
        """Send one line; VendorError(crashed) when it is gone or does not read its input."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._pipes.writable.wait()  # never queue behind an unread line
                self._stdin().write(line.rstrip(b"\n") + b"\n")
                await self._pipes.writable.wait()
        except TimeoutError:
            message = f"The program did not read its input for {timeout_seconds:g} seconds."
            raise VendorError("crashed", message) from None

    async def close(self, grace_seconds: float = 5) -> int | None:
        """EOF, TERM to the group, KILL to the group, each given `grace_seconds`; its exit code.

        May be called again and from several tasks; cancelling a caller does not stop it.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._escalate(grace_seconds))
        await asyncio.shield(self._closing)
        return self.returncode

    def _stdin(self) -> asyncio.WriteTransport:
        stdin = self._pipes.transport.get_pipe_transport(0)
        if self._pipes.stdin_lost or self.returncode is not None or stdin is None:
            raise VendorError("crashed", "The program has ended or closed its input.")
        return cast(asyncio.WriteTransport, stdin)

    async def _escalate(self, grace_seconds: float) -> None:
        with suppress(VendorError):
            self._stdin().close()
        for sign in (signal.SIGTERM, signal.SIGKILL, None):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._pipes.finished.wait(), grace_seconds)
                return
            if sign is not None:
                signal_group(self.pid, sign)


def signal_group(pid: int, sign: signal.Signals) -> None:
    """Signal every process of the group that `pid` leads; nothing where it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, sign)
