"""Who is alive and who must go: processes known by pid, start time and boot, never by name.

A session's processes are found three ways: as descendants of its runner (which adopts orphans),
by the mark `QUARTERDECK_SESSION` in their environment, and, boxed, by dying with the box.
Sweeps freeze before they kill, so that nothing can fork its way out, and repeat until empty.
"""

import ctypes
import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

MARK = "QUARTERDECK_SESSION"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_SECONDS = 10.0


class Identity(msgspec.Struct, frozen=True):
    """One process of one boot; unlike a pid it is never reused. Stored as run.json."""

    pid: int
    start_ticks: int
    boot_id: str
    started_at: str = ""


class Process(NamedTuple):
    pid: int
    ppid: int
    state: str
    start_ticks: int


def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int, started_at: str = "") -> Identity:
    """The identity of a live process; raises ProcessLookupError where there is none."""
    process = _process(pid)
    if process is None:
        raise ProcessLookupError(f"no process {pid}")
    return Identity(pid, process.start_ticks, boot_id(), started_at)


def is_alive(identity: Identity) -> bool:
    """Whether exactly this process still runs (a zombie does not)."""
    process = _process(identity.pid)
    return (
        process is not None
        and process.start_ticks == identity.start_ticks
        and process.state not in "ZX"
        and boot_id() == identity.boot_id
    )


def own_children() -> None:
    """Make this process the parent of every orphan among its descendants."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(on: bool) -> None:
    """Have the kernel kill this process when its parent dies, or no longer."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if on else 0)


def kill_descendants(root_pid: int, grace_seconds: float = 0.0, session_id: str = "") -> int:
    """End everything below `root_pid`, and everything marked with the session; returns how many.

    TERM first, KILL after `grace_seconds`; returns when nothing is left (at most 10 s later).
    """

    def found() -> dict[int, Process]:
        table = processes()
        below = _descendants(table, {root_pid})
        marked = _marked(table, session_id) if session_id else set()
        return _without_us(table, below | marked | _descendants(table, marked), root_pid)

    return _sweep(found, grace_seconds)


def kill_marked(session_id: str, grace_seconds: float = 0.0) -> int:
    """End every process that carries the session's mark and all below them; returns how many."""

    def found() -> dict[int, Process]:
        table = processes()
        marked = _marked(table, session_id)
        return _without_us(table, marked | _descendants(table, marked), os.getpid())

    return _sweep(found, grace_seconds)


def marked(session_id: str) -> list[int]:
    """The pids that carry the session's mark."""
    return sorted(_marked(processes(), session_id))


def reap_orphans(known: set[int]) -> set[int]:
    """Collect adopted zombies seen dead in the last call too (`known`); returns those seen now.

    Two calls apart, because a zombie just born may be a child that asyncio is about to collect.
    """
    own = os.getpid()
    zombies = {p.pid for p in processes().values() if p.ppid == own and p.state == "Z"}
    for pid in zombies & known:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return zombies - known


def processes() -> dict[int, Process]:
    """Every process that /proc shows now, zombies included."""
    found = (_process(int(at.name)) for at in Path("/proc").iterdir() if at.name.isdigit())
    return {process.pid: process for process in found if process is not None}


def _process(pid: int) -> Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name in parentheses may hold anything, parentheses included; fields follow the last.
    fields = stat[stat.rfind(b")") + 2 :].split()
    return Process(pid, int(fields[1]), fields[0].decode(), int(fields[19]))


def _descendants(table: dict[int, Process], roots: Iterable[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.ppid, []).append(process.pid)
    below: set[int] = set()
    todo = list(roots)
    while todo:
        for child in children.get(todo.pop(), []):
            if child not in below:
                below.add(child)
                todo.append(child)
    return below


def _marked(table: dict[int, Process], session_id: str) -> set[int]:
    mark = f"{MARK}={session_id}".encode()
    return {pid for pid in table if mark in _environment(pid).split(b"\0")}


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or another user's: not ours to end
        return b""


def _without_us(table: dict[int, Process], pids: set[int], root_pid: int) -> dict[int, Process]:
    spared = {root_pid, os.getpid(), 1}
    return {
        pid: table[pid] for pid in pids - spared if pid in table and table[pid].state not in "ZX"
    }


def _sweep(find: Callable[[], dict[int, Process]], grace_seconds: float) -> int:
    seen: set[tuple[int, int]] = set()
    if grace_seconds > 0 and (targets := find()):
        _signal(targets.values(), signal.SIGTERM)
        _wait_gone(targets.values(), grace_seconds)
        seen |= {(p.pid, p.start_ticks) for p in targets.values()}
    deadline = time.monotonic() + _SWEEP_SECONDS
    while (targets := _frozen(find)) and time.monotonic() < deadline:
        seen |= {(p.pid, p.start_ticks) for p in targets.values()}
        _signal(targets.values(), signal.SIGKILL)
        _wait_gone(targets.values(), 1.0)
    return len(seen)


def _frozen(find: Callable[[], dict[int, Process]]) -> dict[int, Process]:
    """All targets, each stopped: repeated until a look finds no new one."""
    frozen: dict[int, Process] = {}
    for _ in range(1000):
        new = {pid: process for pid, process in find().items() if pid not in frozen}
        if not new:
            break
        _signal(new.values(), signal.SIGSTOP)
        frozen |= new
    return frozen


def _signal(targets: Iterable[Process], number: signal.Signals) -> None:
    for target in targets:
        with suppress(ProcessLookupError, PermissionError):
            fd = os.pidfd_open(target.pid)
            try:
                # The pidfd holds the pid: what is checked now is what gets the signal.
                now = _process(target.pid)
                if now is not None and now.start_ticks == target.start_ticks:
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)


def _wait_gone(targets: Iterable[Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for target in targets:
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(target.pid)
            try:
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            finally:
                os.close(fd)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
