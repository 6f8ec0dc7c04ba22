"""What a runner lends to its connection: the journal with its timers, the box, the environment.

It also keeps what the events say about the session now: the turn, what was asked, what failed.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from agents import sandbox
from agents.base import LaunchSpec
from agents.control import Answer
from agents.events import (
    Event,
    Exited,
    Failed,
    Notice,
    PermissionRequested,
    PermissionResolved,
    SessionStarted,
    TurnEnded,
    TurnStarted,
)
from agents.journal import JournalWriter
from agents.lines import AppendFile
from agents.reaper import MARK
from agents.redact import Redactor

SYNC_SECONDS = 0.5
_DURABLE = (TurnEnded, PermissionRequested, Failed, Exited)


class SessionHost:
    """The `Host` of one session; `on_written` is called when the journal has grown."""

    def __init__(
        self,
        directory: Path,
        spec: LaunchSpec,
        secrets: dict[str, str],
        on_written: Callable[[], None],
        on_ended: Callable[[int | None, str], None],
    ) -> None:
        self.spec = spec
        self.redactor = Redactor(secrets.values())
        self._secrets, self._on_written, self._on_ended = secrets, on_written, on_ended
        self._journal = JournalWriter(directory / "journal.ndjson", self.redactor)
        self._vendor = AppendFile(directory / "vendor.ndjson")
        self.turn = self.conversation = ""
        self.asked: set[str] = set()
        self.failed = False
        self._heard_at, self._silence_told = time.monotonic(), False
        self._told_size = self._synced_size = self._journal.size
        self._flush_timer: asyncio.TimerHandle | None = None
        self._sync_timer: asyncio.TimerHandle | None = None

    @property
    def size(self) -> int:
        """Bytes of whole journal lines on disk."""
        return self._journal.size

    def emit(self, event: Event, raw: int | None = None) -> None:
        """Append an event to the journal and note what it says about the session."""
        self._heard_at, self._silence_told = time.monotonic(), False
        self._note(event)
        self.record(event, raw)

    def keep_raw(self, line: bytes) -> int:
        """Append a masked vendor line; its offset, or -1 where the disk has long been full."""
        offset = self._vendor.end
        kept = self._vendor.add(self.redactor.mask(line.rstrip(b"\n")) + b"\n")
        return offset if kept else -1

    def command(self, argv: list[str]) -> list[str]:
        """`argv` in the session's sandbox, or unchanged where it has none."""
        return argv if self.spec.sandbox is None else sandbox.wrap(argv, self.spec)

    def environment(self) -> dict[str, str]:
        """The child's whole environment: the spec's, the sandbox's, the secrets, our mark."""
        boxed = self.spec.sandbox.env if self.spec.sandbox else {}
        return {**self.spec.env, **boxed, **self._secrets, MARK: self.spec.session_id}

    def ended(self, exit_code: int | None, message: str = "") -> None:
        """The vendor's process is gone."""
        self._on_ended(exit_code, message)

    # --- the runner's own ---------------------------------------------------------------------

    def record(self, event: Event, raw: int | None = None) -> None:
        """Append a record that is the runner's, not the agent's: it breaks no silence."""
        self._journal.append(event, None if raw is None or raw < 0 else raw)
        if isinstance(event, _DURABLE):
            self.sync()
        self._written()

    def sync(self) -> None:
        """Make the journal durable now."""
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = None
        size = self._journal.size
        if size != self._synced_size and self._journal.sync():
            self._synced_size = size

    def tick(self) -> None:
        """The slow look, about once a second: silence, a vendor log that waits for the disk."""
        self._vendor.flush()
        silent_seconds, limit = time.monotonic() - self._heard_at, self.spec.silence_seconds
        if self.turn and not self.asked and not self._silence_told and 0 < limit <= silent_seconds:
            self._silence_told = True
            said = f"The agent has said nothing for {silent_seconds:.0f} s."
            self.record(Notice(said, "warning"))

    def status(self) -> Answer:
        """What the journal says about the session now."""
        return {
            "seq": self._journal.seq,
            "size": self._journal.size,
            "synced": self._synced_size,
            "turn": self.turn,
            "conversation": self.conversation,
            "asked": sorted(self.asked),
        }

    def finish(self, end: Exited) -> None:
        """Write the last record and make it durable."""
        self.record(end)
        self._journal.flush(everything=True)
        self.sync()
        for timer in (self._flush_timer, self._sync_timer):
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        self._journal.close()
        self._vendor.close()

    def _note(self, event: Event) -> None:
        match event:
            case TurnStarted():
                self.turn, self.failed = event.turn_id, False
            case TurnEnded():
                self.turn = ""
                self.asked.clear()
            case PermissionRequested():
                self.asked.add(event.request_id)
            case PermissionResolved():
                self.asked.discard(event.request_id)
            case SessionStarted():
                self.conversation = event.conversation_id
            case Failed():
                self.failed = True
            case _:
                pass

    def _written(self) -> None:
        """After any write: tell the watchers, and see to it that flush and sync follow."""
        loop = asyncio.get_running_loop()
        if self._journal.size != self._told_size:
            self._told_size = self._journal.size
            self._on_written()
        if self._journal.size != self._synced_size and self._sync_timer is None:
            self._sync_timer = loop.call_later(SYNC_SECONDS, self.sync)
        if (due := self._journal.due_seconds) is None:
            return
        if self._flush_timer is not None and self._flush_timer.when() > loop.time() + due:
            self._flush_timer.cancel()
            self._flush_timer = None
        if self._flush_timer is None:
            self._flush_timer = loop.call_later(due, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        self._journal.flush()
        self._written()
