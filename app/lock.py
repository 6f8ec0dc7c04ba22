"""Who serves this home: the lock file, held for as long as the server lives, and its address.

Whoever holds `server.lock` is the server; `server.json` says where it listens.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

from app.errors import HomeUnusable, ServerRunning
from app.paths import Home


@contextmanager
def claim(home: Home) -> Iterator[None]:
    """Hold the home's server lock; ServerRunning names the address of who has it."""
    prepare_home(home)
    with home.server_lock.open("a") as file:
        if not _take(file):
            where = running_url(home) or "an address it has not announced yet"
            raise ServerRunning(
                f"A server already runs for {home.path}, at {where}; use that one, stop it, or "
                "set QUARTERDECK_HOME to another directory."
            )
        try:
            yield
        finally:
            home.server_info.unlink(missing_ok=True)


def prepare_home(home: Home) -> None:
    """Make the state directory; HomeUnusable where it can't be written."""
    try:
        home.ensure()
        home.server_lock.touch(0o600)
    except OSError as error:
        raise HomeUnusable(
            f"The state directory {home.path} can't be written ({error.strerror}); "
            "mend its owner and mode, or set QUARTERDECK_HOME to another directory."
        ) from error


def _take(file: TextIO) -> bool:
    """Tries for a quarter of a second: who only asks `is_running` holds the lock for an instant."""
    for _ in range(5):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def is_running(home: Home) -> bool:
    """Whether a live process holds the home's server lock."""
    try:
        with home.server_lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def running_url(home: Home) -> str | None:
    """The address the running server announced; None where none runs or none is known yet."""
    if not is_running(home):
        return None
    try:
        return str(json.loads(home.server_info.read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None


def announce(home: Home, url: str) -> None:
    """Write the address file; only the holder of the lock does."""
    facts = {"url": url, "pid": os.getpid(), "started_at": datetime.now(UTC).isoformat()}
    draft = home.server_info.with_suffix(".new")
    draft.write_text(json.dumps(facts))
    draft.replace(home.server_info)
