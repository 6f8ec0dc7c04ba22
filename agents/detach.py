"""What makes a process a daemon of its own: the fork, the lock, files replaced as a whole."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from agents.reaper import die_with_parent


def detached(run: Callable[[Callable[[int], None]], int]) -> int:
    """Run in a forked child with a session of its own, which says its status when it is ready.

    In the parent: that status, or 1 where the child died first. In the child: what `run` returns.
    Until it is ready the child dies with its parent, so whoever gives up waiting leaves nothing.
    """
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    answer, tell = os.pipe()
    if os.fork() != 0:
        os.close(tell)
        status = os.read(answer, 1)
        return status[0] if status else 1
    os.close(answer)
    os.setsid()
    die_with_parent(True)

    def ready(status: int) -> None:
        die_with_parent(False)
        os.write(tell, bytes([status]))
        os.close(tell)

    return run(ready)


def lock(directory: Path) -> int | None:
    """Hold the directory's lock while the returned descriptor is open; None where another does.

    A POSIX lock: no child inherits it, and asking who holds it takes nothing.
    """
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(fd)
        return None
    return fd


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file so that a reader sees all of the old or all of the new content."""
    beside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
