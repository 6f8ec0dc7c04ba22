"""A real session for tests: a directory, a worktree, and a detached runner that is ended after."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agents import control, reaper
from agents.base import LaunchSpec, Sandbox
from agents.errors import RunnerUnreachable
from agents.events import Event, Record
from agents.journal import read_after
from agents.launch import is_running, launch, run_of

E = TypeVar("E")
Ready = Callable[[list[Record]], bool]


class Session:
    """One session directory under `root`; `launch` may be called again to resume it."""

    def __init__(self, root: Path, session_id: str) -> None:
        self.id, self.root = session_id, root
        self.dir = root / "state" / "sessions" / session_id
        self.worktree, self.home = root / "worktree", root / "agent-home"
        for path in (self.worktree, self.home, self.dir):
            path.mkdir(parents=True, exist_ok=True)

    def spec(
        self, script: dict[str, Any] | str = "", boxed: bool = False, **more: Any
    ) -> LaunchSpec:
        prompt = json.dumps(script) if isinstance(script, dict) else script
        box = Sandbox(hidden=[str(self.root / "state")]) if boxed else None
        values = {
            "session_id": self.id,
            "driver": "scripted",
            "cwd": str(self.worktree),
            "home": str(self.home),
            "env": {"PATH": os.environ["PATH"], "HOME": str(self.home)},
            "sandbox": box,
            "prompt": prompt,
        }
        return LaunchSpec(**(values | more))

    def launch(
        self,
        script: dict[str, Any] | str = "",
        secrets: dict[str, str] | None = None,
        **more: Any,
    ) -> int:
        return launch(self.dir, self.spec(script, **more), secrets or {})

    def records(self) -> list[Record]:
        """Every record; fails on an undecodable line."""
        lines, _ = read_after(self.dir / "journal.ndjson", 0, 1_000_000_000)
        records = [record for _, record, _ in lines]
        assert None not in records
        return [record for record in records if record is not None]

    def events(self) -> list[Event]:
        return [record.event for record in self.records()]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events() if isinstance(event, kind)]

    async def wait(self, ready: Callable[[], object], seconds: float = 20) -> None:
        """Until `ready()`, looked at after each growth of the journal and at the runner's end."""
        try:
            async with asyncio.timeout(seconds):
                async for _ in control.watch(self.dir):
                    if ready():
                        return
        except (TimeoutError, RunnerUnreachable):
            pass
        assert ready(), f"it never came; the journal holds {self.events()}"

    async def wait_for(self, kind: type[E], count: int = 1, seconds: float = 20) -> E:
        await self.wait(lambda: len(self.of(kind)) >= count, seconds)
        return self.of(kind)[count - 1]

    async def request(self, op: str, **fields: object) -> dict[str, object]:
        return await control.request(self.dir, op, **fields)

    async def stop(self) -> None:
        await self.request("stop")
        await control.wait_ended(self.dir, 30)

    def kill(self) -> None:
        """kill -9 of the runner, as the kernel's out-of-memory killer would."""
        run = run_of(self.dir)
        assert run is not None
        fd = os.pidfd_open(run.pid)
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        os.close(fd)
        reaper._wait_gone([reaper.Process(run.pid, 0, "", run.start_ticks)], 10)

    def bury(self) -> None:
        if is_running(self.dir):
            self.kill()
        reaper.kill_marked(self.id)

    def exit(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode((self.dir / "exit.json").read_bytes())
        return found
