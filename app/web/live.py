"""The two sockets: parts of pages that changed, and a session's log as it grows.

Neither loses anything when it drops. The page socket sends the full state whenever it connects;
the log socket is asked for everything after a sequence number.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

import anyio
import structlog
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from agents.events import Record
from app.errors import AppError
from app.services import sessions as sessions_service
from app.services.context import Context
from app.store import sessions
from app.supervisor.bus import Batch
from app.web import logview, regions
from app.web.deps import Ctx

router = APIRouter()
log = structlog.get_logger()

PAGE_INTERVAL_SECONDS = 0.25  # between two states of a page: the last one wins
PAGE_REFRESH_SECONDS = 10.0  # ages and rates move without an event
LOG_INTERVAL_SECONDS = 0.05
LOG_GAP_RECORDS = 500  # of one frame, while the journal is read
LOG_BEHIND_RECORDS = 5000  # further behind, the page starts again at the end
LOG_LOOK_SECONDS = 15.0  # a quiet session's journal is looked at this often all the same
MAX_MESSAGE_BYTES = 64 * 1024
MAX_SOCKETS = 1000
MAX_REGIONS = 8
MAX_SHARED = 128
SEND_TIMEOUT_SECONDS = 20.0


class Sockets:
    """How many are open; one more than the cap is turned away."""

    def __init__(self) -> None:
        self.count = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


class Shared:
    """One drawing of a region for everybody who asked before it began."""

    def __init__(self) -> None:
        self._drawn: dict[str, tuple[float, regions.Parts]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def parts(self, name: str, region: regions.Region) -> regions.Parts:
        asked_at = time.monotonic()
        async with self._locks.setdefault(name, asyncio.Lock()):
            began_at, parts = self._drawn.get(name, (-1.0, {}))
            if began_at < asked_at:
                began_at = time.monotonic()
                parts = await run_in_threadpool(region.draw)
                self._keep(name, began_at, parts)
            return parts

    def _keep(self, name: str, began_at: float, parts: regions.Parts) -> None:
        if len(self._drawn) >= MAX_SHARED:
            self._drawn.clear()
            self._locks = {key: lock for key, lock in self._locks.items() if lock.locked()}
        self._drawn[name] = (began_at, parts)


@router.websocket("/ws/page")
async def page(socket: WebSocket, ctx: Ctx, topics: str = "") -> None:
    """Keeps the named regions of a page fresh: full state first, then what changed."""
    try:
        names = topics.split(",")[:MAX_REGIONS]
        found = {name: await run_in_threadpool(regions.find, ctx, name) for name in names}
    except AppError as error:
        await socket.close(1008, str(error)[:120])
        return
    await _serve(socket, lambda: _send_regions(socket, found))


@router.websocket("/ws/sessions/{session_id}/log")
async def session_log(socket: WebSocket, ctx: Ctx, session_id: str, after: int = 0) -> None:
    """A session's records after a sequence number, then as they come: {first, last, html, at_ms}.

    Each message is a list of frames. Too far behind, it is {"behind": true} and the end.
    """
    last_seq = await run_in_threadpool(_last_seq, ctx, session_id)
    if last_seq is None:
        await socket.close(1008, "no such session")
    elif last_seq - after > LOG_BEHIND_RECORDS:
        await socket.accept()
        await socket.send_text('{"behind":true}')
        await socket.close()
    else:
        await _serve(socket, lambda: _send_log(socket, ctx, session_id, max(0, after)))


async def _serve(socket: WebSocket, send: Callable[[], Awaitable[None]]) -> None:
    """Accept, run `send` until either side ends it; what the browser says is only counted."""
    sockets: Sockets = socket.app.state.sockets
    if sockets.count >= MAX_SOCKETS:
        await socket.close(1013, "too many open pages")
        return
    with sockets.one():
        await socket.accept()
        async with anyio.create_task_group() as group:

            async def sender() -> None:
                try:
                    await send()
                except (WebSocketDisconnect, TimeoutError, RuntimeError) as error:
                    log.debug("socket ended", why=str(error))
                group.cancel_scope.cancel()

            group.start_soon(sender)
            await _hear(socket)
            group.cancel_scope.cancel()


async def _hear(socket: WebSocket) -> None:
    """Waits for the end of the connection; a message over the limit ends it."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        said = message.get("text") or message.get("bytes") or ""
        if len(said) > MAX_MESSAGE_BYTES:
            await socket.close(1009, "too long")
            return


async def _say(socket: WebSocket, text: str) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
        await socket.send_text(text)


async def _send_regions(socket: WebSocket, found: dict[str, regions.Region]) -> None:
    shared: Shared = socket.app.state.shared
    sent: dict[str, str] = {}
    dirty = set(found)
    with socket.app.state.bus.listen(set().union(*(r.topics for r in found.values()))) as listener:
        while True:
            parts: regions.Parts = {}
            for name in dirty:
                parts |= await shared.parts(name, found[name])
            fresh = {key: part for key, part in parts.items() if sent.get(key) != part.mark}
            if fresh:
                await _say(socket, regions.wrap(fresh))
                sent |= {key: part.mark for key, part in fresh.items()}
            await asyncio.sleep(PAGE_INTERVAL_SECONDS)
            topics = await listener.changes(PAGE_REFRESH_SECONDS)
            dirty = {name for name, region in found.items() if not topics or region.topics & topics}


async def _send_log(socket: WebSocket, ctx: Context, session_id: str, seq: int) -> None:
    while True:
        while records := await run_in_threadpool(_gap, ctx, session_id, seq):
            await _say(socket, f"[{logview.frame(records, session_id)}]")
            seq = records[-1].seq
        # Asked for anew each round: a session that ended and came back has another channel.
        stream = socket.app.state.bus.log(session_id).follow(seq)
        while batches := await _next(stream):
            await _say(socket, _frames(batches, session_id, seq))
            seq = batches[-1].last_seq
            await asyncio.sleep(LOG_INTERVAL_SECONDS)


async def _next(stream: AsyncIterator[list[Batch] | None]) -> list[Batch] | None:
    """The next batches; None where the journal has to be read again."""
    try:
        async with asyncio.timeout(LOG_LOOK_SECONDS):
            return await anext(stream, None)
    except TimeoutError:
        return None


def _frames(batches: Sequence[Batch], session_id: str, seq: int) -> str:
    """The batches' frames as one list; each is encoded once for all viewers.

    A batch that begins at or before `seq` (the journal was read further) is cut for this one.
    """
    frames = []
    for batch in batches:
        if batch.first_seq <= seq:
            rest = [record for record in batch.records if record.seq > seq]
            frames.append(logview.frame(rest, session_id))
        else:
            batch.frame = batch.frame or logview.frame(batch.records, session_id)
            frames.append(batch.frame)
    return f"[{','.join(frames)}]"


def _gap(ctx: Context, session_id: str, seq: int) -> list[Record]:
    return sessions_service.log_after(ctx, session_id=session_id, seq=seq, count=LOG_GAP_RECORDS)


def _last_seq(ctx: Context, session_id: str) -> int | None:
    with ctx.db.read() as db:
        session = sessions.get(db, session_id)
    return session.seq if session else None
