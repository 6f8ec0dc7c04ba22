"""What changed, and the live log: the only link between the supervisor's loops and the sockets.

`Bus` says *that* a topic changed (readers read the store again; many changes are one). A
`LogChannel` carries a session's records in order: each viewer keeps its own cursor, so a slow
one skips nothing and holds nobody up.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from agents.events import Record

RING_RECORDS = 4000  # a viewer further behind reads the journal first

# Topics: "fleet" (any session's state), "session:<id>", "tasks", "reviews", "review:<id>",
# "inbox" (permissions, questions), "accounts", "check:<id>", "output" (of any check), "union:<id>",
# "contest:<id>", "radar", "record"; and for the loops "wake" (there is something to do), "probe".


class Bus:
    """Publish from any thread; listen on the loop it was made on."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[str, set[Listener]] = {}
        self._channels: dict[str, LogChannel] = {}

    def attach(self) -> None:
        """Bind to the running loop; called once at start."""
        self._loop = asyncio.get_running_loop()

    def publish(self, *topics: str) -> None:
        """Say that these topics changed. Safe from any thread; does nothing before `attach`."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._mark, topics)

    def _mark(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for listener in self._listeners.get(topic, ()):
                listener.mark(topic)

    def listen(self, topics: Iterable[str]) -> "Listener":
        """A listener to use in `with`; it forgets itself at the end."""
        return Listener(self._listeners, frozenset(topics))

    def log(self, session_id: str) -> "LogChannel":
        return self._channels.setdefault(session_id, LogChannel())

    def drop_log(self, session_id: str) -> None:
        """Forget a session's ring; its journal keeps everything."""
        self._channels.pop(session_id, None)


class Listener:
    """Collects changed topics until asked."""

    def __init__(self, registry: dict[str, set["Listener"]], topics: frozenset[str]) -> None:
        self._registry, self._topics = registry, topics
        self._changed: set[str] = set()
        self._event = asyncio.Event()

    def __enter__(self) -> "Listener":
        for topic in self._topics:
            self._registry.setdefault(topic, set()).add(self)
        return self

    def __exit__(self, *_: object) -> None:
        for topic in self._topics:
            self._registry[topic].discard(self)

    def mark(self, topic: str) -> None:
        self._changed.add(topic)
        self._event.set()

    async def changes(self, timeout_seconds: float | None = None) -> set[str]:
        """The topics that changed since the last call; an empty set after the timeout."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return set()
        self._event.clear()
        changed, self._changed = self._changed, set()
        return changed


@dataclass
class Batch:
    """Records of one read, shared by all viewers. `frame` caches their one encoding."""

    first_seq: int
    last_seq: int
    records: list[Record]
    frame: str | None = field(default=None, compare=False)


class LogChannel:
    """The newest records of one session, and a bell."""

    def __init__(self) -> None:
        self.batches: deque[Batch] = deque()
        self._records = 0
        self._bell = asyncio.Event()

    def append(self, records: list[Record]) -> None:
        """Called on the loop, with records in order."""
        self.batches.append(Batch(records[0].seq, records[-1].seq, records))
        self._records += len(records)
        while self._records > RING_RECORDS and len(self.batches) > 1:
            self._records -= len(self.batches.popleft().records)
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    @property
    def first_seq(self) -> int | None:
        return self.batches[0].first_seq if self.batches else None

    def after(self, seq: int) -> list[Batch] | None:
        """Batches with records after `seq`; None where the ring no longer reaches back so far."""
        if self.batches and self.batches[0].first_seq > seq + 1:
            return None
        new = takewhile(lambda batch: batch.last_seq > seq, reversed(self.batches))
        return list(new)[::-1]

    async def follow(self, seq: int) -> AsyncIterator[list[Batch] | None]:
        """Batches after `seq` as they come; None where the journal must be read for the gap."""
        while True:
            bell = self._bell
            batches = self.after(seq)
            if batches is None or batches:
                yield batches
                if batches:
                    seq = batches[-1].last_seq
                    continue
                return
            await bell.wait()
