"""For tests of drivers: a host that records, and a stage on which one driver plays one scenario.

Owns what every driver's test needs: `RecordingHost`, `DriverCase` (how to start that driver
against the rehearsal server) and `Stage`. The promises themselves are in `agents.conformance`.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from agents.base import Connection, LaunchSpec, Permissions
from agents.events import Event, TurnEnded, Usage
from agents.registry import driver

E = TypeVar("E")
TURN_SECONDS = 45.0  # a scripted turn takes about one second; a loaded machine needs patience


class RecordingHost:
    """A `Host` without a runner: events go to a list, raw lines to a file, nothing is boxed."""

    def __init__(self, spec: LaunchSpec, directory: Path, secret: str = "") -> None:
        self.spec = spec
        self.events: list[Event] = []
        self.raws: list[int | None] = []  # of each event, the offset of its vendor line
        self.exit: tuple[int | None, str] | None = None
        self.vendor = directory / "vendor.ndjson"
        self._secret = secret
        self._changed = asyncio.Event()

    def emit(self, event: Event, raw: int | None = None) -> None:
        self.events.append(event)
        self.raws.append(raw)
        self._changed.set()

    def keep_raw(self, line: bytes) -> int:
        with self.vendor.open("ab") as file:
            offset = file.tell()
            file.write(line.rstrip(b"\n") + b"\n")
        return offset

    def command(self, argv: list[str]) -> list[str]:
        return argv

    def environment(self) -> dict[str, str]:
        name = self.spec.endpoint.secret_env
        return {**self.spec.env, **({name: self._secret} if name else {})}

    def ended(self, exit_code: int | None, message: str = "") -> None:
        assert self.exit is None, "ended() was called twice"
        self.exit = (exit_code, message)
        self._changed.set()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait(self, ready: Callable[["RecordingHost"], bool], seconds: float = 20) -> None:
        """Until `ready(self)`; TimeoutError names what was seen instead."""
        try:
            async with asyncio.timeout(seconds):
                while not ready(self):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            seen = [type(event).__name__ for event in self.events]
            tail = [event for event in self.events if type(event).__name__ in _TELLING][-3:]
            raise TimeoutError(
                f"waited {seconds} s; exit={self.exit}; events: {seen}; {tail}"
            ) from None


_TELLING = ("Failed", "Notice", "Retrying", "Unparsed", "TurnEnded")


class Rehearsal(Protocol):
    """What the contracts need of the rehearsal server."""

    @property
    def requests(self) -> Sequence[Any]:
        """The latest model requests, oldest first; each prints its body."""

    def forget(self) -> None:
        """Start the record of requests anew."""


SpecFactory = Callable[[Path, str, Any], LaunchSpec]


@dataclass(frozen=True)
class DriverCase:
    """How one driver is started against the rehearsal server.

    `spec(tmp, scenario, rehearsal)` gives a LaunchSpec without a prompt: `cwd` a git worktree
    below `tmp`, `binary` set where the driver needs one. The same `tmp` gives the same cwd, home
    and account directory again, so that a second session can resume. Its `env` keeps the vendor's
    own retries few.
    """

    driver_id: str
    spec: SpecFactory
    secret: str = "rehearsed"
    recovers: frozenset[str] = frozenset()  # failing scenarios the vendor's client survives
    quota: bool = True  # reports windows in the scenarios `warn` and `limited`
    fails_as: dict[str, set[str]] = field(default_factory=dict)  # other kinds, by scenario
    without: frozenset[str] = frozenset()  # contracts that do not hold: say why beside it


class Live:
    """A started connection with its host, and short words for what a test does to it."""

    def __init__(self, host: RecordingHost, connection: Connection) -> None:
        self.host, self.connection = host, connection

    async def say(self, text: str = "Do the task.") -> bool:
        """Send a message; True where it steered the running turn."""
        return await self.connection.say(text, str(uuid.uuid4()))

    async def turn(self, text: str = "Do the task.", seconds: float = TURN_SECONDS) -> TurnEnded:
        """Send a message and wait for the end of the turn it starts."""
        before = len(self.host.of(TurnEnded))
        await self.say(text)
        return await self.end(before, seconds)

    async def end(self, before: int = 0, seconds: float = TURN_SECONDS) -> TurnEnded:
        """The TurnEnded after the first `before` ones."""
        await self.host.wait(lambda host: len(host.of(TurnEnded)) > before, seconds)
        return self.host.of(TurnEnded)[before]

    async def until(self, kind: type[E], seconds: float = TURN_SECONDS) -> E:
        """The first event of that kind, waited for."""
        await self.host.wait(lambda host: bool(host.of(kind)), seconds)
        return self.host.of(kind)[0]

    def tokens(self) -> tuple[int, int, int, int]:
        """Output, fresh input, cache write, cache read, added up over the session."""
        rows = self.host.of(Usage)
        return (
            sum(row.output_tokens for row in rows),
            sum(row.input_tokens for row in rows),
            sum(row.cache_write_tokens for row in rows),
            sum(row.cache_read_tokens for row in rows),
        )


class Stage:
    """One driver, one rehearsal server, one directory: starts sessions and always closes them."""

    def __init__(self, case: DriverCase, rehearsal: Rehearsal, tmp: Path) -> None:
        self.case, self.rehearsal, self.tmp = case, rehearsal, tmp
        rehearsal.forget()

    @property
    def requests(self) -> list[str]:
        """The model requests since the curtain rose, printed."""
        return [str(request) for request in self.rehearsal.requests]

    def spec(self, scenario: str) -> LaunchSpec:
        return self.case.spec(self.tmp, scenario, self.rehearsal)

    @asynccontextmanager
    async def session(
        self,
        scenario: str,
        *,
        permissions: Permissions = "auto",
        resume: str = "",
        **changes: Any,  # any field of LaunchSpec
    ) -> AsyncIterator[Live]:
        """A started session of that scenario; closed afterwards, whatever happened."""
        spec = msgspec.structs.replace(
            self.spec(scenario), permissions=permissions, resume=resume, **changes
        )
        host = RecordingHost(spec, self.tmp, self.case.secret)
        connection = driver(self.case.driver_id).connect(host)
        try:
            await connection.start()
            yield Live(host, connection)
        finally:
            await connection.close()
