"""The private socket between a server and a runner: one JSON line asks, one JSON line answers.

Operations: status, say {text, message_id, origin}, interrupt, answer {request_id, decision,
message}, stop, watch. `watch` stays open and is told the journal's size after every write.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from agents.errors import AgentError, CommandRefused, RunnerUnreachable

SOCKET = "control.sock"
_MAX_COMMAND_BYTES = 16_000_000
_WATCHER_SECONDS = 30.0  # a watcher that takes nothing for so long is cut off

Answer = dict[str, object]
Handle = Callable[[str, Answer], Awaitable[Answer]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def request(
    session_dir: Path, op: str, timeout_seconds: float = 5, **fields: object
) -> Answer:
    """Ask the session's runner; raises RunnerUnreachable (try again) or CommandRefused."""
    try:
        async with asyncio.timeout(timeout_seconds), _connected(session_dir) as (reader, writer):
            writer.write(msgspec.json.encode({"op": op, **fields}) + b"\n")
            await writer.drain()
            line = await reader.readline()
    except TimeoutError:
        raise RunnerUnreachable(
            f"The session's runner did not answer `{op}` within {timeout_seconds:g} s."
        ) from None
    except OSError as error:
        raise RunnerUnreachable(f"The session's runner does not answer: {error}.") from None
    if not line.endswith(b"\n"):
        raise RunnerUnreachable(f"The session's runner ended before it answered `{op}`.")
    answer: Answer = msgspec.json.decode(line, type=dict[str, object])
    if not answer.pop("ok", False):
        raise CommandRefused(str(answer.get("error", "")))
    return answer


async def watch(session_dir: Path) -> AsyncIterator[int]:
    """The journal's size now and after every write, coalesced; ends when the runner is gone.

    Raises RunnerUnreachable where no runner listens.
    """
    try:
        async with _connected(session_dir) as (reader, writer):
            writer.write(b'{"op":"watch"}\n')
            while (line := await reader.readline()).endswith(b"\n"):
                yield int(msgspec.json.decode(line)["size"])
    except OSError as error:
        raise RunnerUnreachable(f"The session's runner does not answer: {error}.") from None


async def wait_ended(session_dir: Path, timeout_seconds: float = 60) -> None:
    """Until the session's runner is gone; returns at once where none listens; TimeoutError."""
    with suppress(RunnerUnreachable):
        async with asyncio.timeout(timeout_seconds):
            async for _ in watch(session_dir):
                pass


@asynccontextmanager
async def _connected(session_dir: Path) -> AsyncIterator[Streams]:
    # A socket's path holds 107 bytes; through a descriptor any directory is near enough.
    directory = os.open(session_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        path = f"/proc/self/fd/{directory}/{SOCKET}"
        reader, writer = await asyncio.open_unix_connection(path, limit=_MAX_COMMAND_BYTES)
    finally:
        os.close(directory)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class ControlServer:
    """The runner's end: answers commands through `handle`, tells watchers the size."""

    def __init__(self, handle: Handle, size: Callable[[], int]) -> None:
        self._handle, self._size = handle, size
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._grown: set[asyncio.Event] = set()
        self._closing = False

    async def start(self) -> None:
        """Listen on `control.sock` in the working directory, for this user only."""
        self._server = await asyncio.start_unix_server(
            self._serve, sock=_listener(), limit=_MAX_COMMAND_BYTES
        )

    def grown(self) -> None:
        """Tell the watchers that the journal has a new size."""
        for event in self._grown:
            event.set()

    def stop_listening(self) -> None:
        """Take no new client; those that are connected go on."""
        if self._server is not None:
            self._server.close()
            self._server = None
            _forget()

    async def close(self, timeout_seconds: float = 2.0) -> None:
        """Stop listening, tell the watchers the last size, hang up."""
        self.stop_listening()
        self._closing = True
        self.grown()
        if self._clients:
            _, late = await asyncio.wait(self._clients, timeout=timeout_seconds)
            for task in late:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the client went away, or we did; the session goes on
        finally:
            self._clients.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self._closing and (line := await self._command(reader, writer)):
            try:
                fields = msgspec.json.decode(line, type=dict[str, object])
            except msgspec.DecodeError as error:
                await _send(writer, {"ok": False, "error": f"Not a command: {error}."})
                continue
            op = str(fields.pop("op", ""))
            if op == "watch":
                return await self._watch(reader, writer)
            await _send(writer, await self._answer(op, fields))
        return None

    async def _command(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        try:
            return await reader.readline()
        except ValueError:
            limit = _MAX_COMMAND_BYTES // 1_000_000
            await _send(writer, {"ok": False, "error": f"A command holds at most {limit} MB."})
            return b""

    async def _answer(self, op: str, fields: Answer) -> Answer:
        try:
            return {"ok": True, **await self._handle(op, fields)}
        except AgentError as error:
            return {"ok": False, "error": str(error), "permanent": error.permanent}

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        grown, gone = asyncio.Event(), asyncio.create_task(reader.read(), name="watcher-gone")
        self._grown.add(grown)
        gone.add_done_callback(lambda _: grown.set())
        told = -1
        try:
            while not gone.done():
                grown.clear()
                if (size := self._size()) != told:
                    await _send(writer, {"size": size})
                    told = size
                elif self._closing:
                    return
                else:
                    await grown.wait()
        finally:
            self._grown.discard(grown)
            gone.cancel()


def _listener() -> socket.socket:
    _forget()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind(SOCKET)
    finally:
        os.umask(umask)
    return listener


def _forget() -> None:
    Path(SOCKET).unlink(missing_ok=True)


async def _send(writer: asyncio.StreamWriter, message: Answer) -> None:
    writer.write(msgspec.json.encode(message) + b"\n")
    async with asyncio.timeout(_WATCHER_SECONDS):
        await writer.drain()
