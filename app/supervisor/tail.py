"""The tailer: runners ring, we read their journals, tell the viewers, and store what it means.

Each live session has a watcher on its runner's socket, which says when bytes were appended: no
polling. A slow tick looks at every watched journal all the same, in case a bell was lost.
"""

import asyncio
import time

import structlog

from agents import control
from agents.errors import AgentError
from app.services.context import Context
from app.services.ingest import Chunk, clamp_cursor, read_chunk, store_chunks
from app.store import sessions
from app.supervisor.bus import Bus

WINDOW_SECONDS = 0.02  # what comes within it is read at once
STORE_SECONDS = 0.05  # what was read within it is stored in one transaction
TICK_SECONDS = 2.0
RECONNECT_SECONDS = 0.2

log = structlog.get_logger()


class Tailer:
    """Follows the journals of the sessions it was told to watch."""

    def __init__(self, ctx: Context, bus: Bus) -> None:
        self._ctx, self._bus = ctx, bus
        self._cursors: dict[str, int] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._dirty: set[str] = set()
        self._bell = asyncio.Event()
        self._reading, self._storing = asyncio.Lock(), asyncio.Lock()
        self._unstored: list[Chunk] = []
        self._has_unstored = asyncio.Event()
        self.gone: set[str] = set()  # sessions whose runner's socket closed

    def watch(self, session_id: str) -> None:
        """Follow a session whose runner lives; safe to repeat."""
        watcher = self._watchers.get(session_id)
        if watcher is None or watcher.done():
            name = f"watch {session_id}"
            self._watchers[session_id] = asyncio.create_task(self._watch(session_id), name=name)
        self._mark(session_id)

    def unwatch(self, session_id: str) -> None:
        """Stop following; what is in the journal by now was read by `catch_up`."""
        if watcher := self._watchers.pop(session_id, None):
            watcher.cancel()
        self._cursors.pop(session_id, None)
        self.gone.discard(session_id)
        self._bus.drop_log(session_id)

    async def store_forever(self) -> None:
        """Until cancelled: put what was read into the database, apart from the reading."""
        while True:
            await self._has_unstored.wait()
            await asyncio.sleep(STORE_SECONDS)
            await self._store()

    async def run(self) -> None:
        """Until cancelled: read what the bells announce."""
        last_tick = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._bell.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(WINDOW_SECONDS)
            self._bell.clear()
            dirty, self._dirty = self._dirty, set()
            if time.monotonic() - last_tick > TICK_SECONDS:
                dirty |= set(self._watchers)
                last_tick = time.monotonic()
            if dirty:
                await self._take(dirty)

    async def catch_up(self, session_id: str) -> None:
        """Read a journal to its present end, and store it."""
        while await self._take({session_id}):
            await self._store()
        await self._store()

    async def stop(self) -> None:
        watchers = list(self._watchers.values())
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)

    def _mark(self, session_id: str) -> None:
        self._dirty.add(session_id)
        self._bell.set()

    async def _watch(self, session_id: str) -> None:
        directory = self._ctx.home.session(session_id)
        while True:
            try:
                async for _size in control.watch(directory):
                    self.gone.discard(session_id)
                    self._mark(session_id)
            except AgentError:
                pass
            self.gone.add(session_id)
            self._mark(session_id)
            self._ctx.publish("wake")
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _take(self, session_ids: set[str]) -> bool:
        """One read of these journals; True where there may be more."""
        async with self._reading:
            chunks = await asyncio.to_thread(self._read, session_ids)
            for chunk in chunks:
                self._cursors[chunk.session_id] = chunk.end
                if records := chunk.records:
                    self._bus.log(chunk.session_id).append(records)
            self._unstored += chunks
        if chunks:
            self._has_unstored.set()
        return bool(chunks)

    async def _store(self) -> None:
        async with self._storing:
            chunks, self._unstored = self._unstored, []
            self._has_unstored.clear()
            if not chunks:
                return
            try:
                stale = await asyncio.to_thread(store_chunks, self._ctx, chunks)
            except Exception:
                self._forget({chunk.session_id for chunk in chunks})
                raise
            self._forget(stale)
        self._bus.publish("fleet", *{f"session:{chunk.session_id}" for chunk in chunks})
        self._announce(chunks)

    def _forget(self, session_ids: set[str]) -> None:
        """Read again from the stored cursor; viewers drop what they have seen."""
        for session_id in session_ids:
            self._cursors.pop(session_id, None)
            self._mark(session_id)

    def _read(self, session_ids: set[str]) -> list[Chunk]:
        chunks = []
        for session_id in sorted(session_ids):
            offset = self._cursor(session_id)
            chunk = read_chunk(self._ctx, session_id, offset)
            if chunk.end < offset:
                log.warning("journal lost its end", session=session_id, size=chunk.end)
                clamp_cursor(self._ctx, session_id, chunk.end)
                chunk = read_chunk(self._ctx, session_id, 0)
                self._cursors[session_id] = 0
            if chunk.lines:
                chunks.append(chunk)
        return chunks

    def _cursor(self, session_id: str) -> int:
        if session_id not in self._cursors:
            with self._ctx.db.read() as db:
                session = sessions.get(db, session_id)
            self._cursors[session_id] = session.offset if session else 0
        return self._cursors[session_id]

    def _announce(self, chunks: list[Chunk]) -> None:
        kinds = {type(record.event).__name__ for chunk in chunks for record in chunk.records}
        if kinds & {"PermissionRequested", "PermissionResolved", "TurnEnded", "Exited"}:
            self._bus.publish("inbox", "tasks", "wake")
        if "Quota" in kinds:
            self._bus.publish("accounts")
