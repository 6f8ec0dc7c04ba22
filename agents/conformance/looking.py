"""What the contracts look at: the worktree, the processes, what was said and asked."""

import asyncio
import subprocess
from collections.abc import Awaitable
from pathlib import Path

from agents.base import LaunchSpec
from agents.errors import AgentError
from agents.events import Decision, PermissionRequested, PermissionResolved, Text, TurnEnded
from agents.testing import Live, Stage


def said(live: Live) -> str:
    """All text of the session."""
    return "".join(piece.text for piece in live.host.of(Text)).rstrip()


def head(spec: LaunchSpec) -> str:
    """The commit that the worktree is at."""
    command = ["git", "-C", spec.cwd, "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


async def start_error(stage: Stage, program: str) -> AgentError:
    """What `start()` raises with that program; the runner, not the driver, reports it."""
    try:
        async with stage.session("happy", binary=program):
            raise AssertionError("it started")
    except AgentError as error:
        return error


async def answer_all(live: Live, decision: Decision, message: str = "") -> None:
    """Answer what is open, then wait for the next question or the end of the turn."""
    resolved = {row.request_id for row in live.host.of(PermissionResolved)}
    for asked in live.host.of(PermissionRequested):
        if asked.request_id not in resolved:
            await live.connection.answer(asked.request_id, decision, message)
    await live.host.wait(
        lambda host: (
            bool(host.of(TurnEnded))
            or len(host.of(PermissionRequested)) > len(host.of(PermissionResolved))
        )
    )


async def refused(attempt: Awaitable[None]) -> None:
    """The attempt raises AgentError."""
    try:
        await attempt
    except AgentError:
        return
    raise AssertionError("it was not refused")


async def tool_children(tmp: Path, seconds: float = 10) -> set[int]:
    """Pids of the sleeping tool below `tmp`, once it runs (it is not our child: no event tells)."""
    async with asyncio.timeout(seconds):
        while not (found := sleeping_below(tmp)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


async def gone(pids: set[int], seconds: float = 5) -> None:
    """None of these processes runs any more."""
    async with asyncio.timeout(seconds):
        while any(alive(pid) for pid in pids):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def sleeping_below(tmp: Path) -> set[int]:
    """Pids of processes that were started to sleep, with a working directory below `tmp`."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            inside = entry.joinpath("cwd").readlink().is_relative_to(tmp.resolve())
            if inside and b"sleep" in entry.joinpath("cmdline").read_bytes():
                found.add(int(entry.name))
        except OSError:  # it ended while we looked
            continue
    return found


def alive(pid: int) -> bool:
    """Running, and not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
