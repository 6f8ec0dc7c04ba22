"""Starts runners and says whether one is alive. Blocking: call it in a thread.

A session's directory holds spec.json, lock (held by the runner for as long as it lives),
run.json, journal.ndjson, vendor.ndjson, control.sock, runner.log and exit.json.
"""

import fcntl
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from agents.base import LaunchSpec
from agents.control import SOCKET
from agents.errors import AgentError, SessionAlreadyRunning
from agents.reaper import Identity

ROOT = Path(__file__).resolve().parent.parent
LOCK_HELD = 75  # the runner's exit status (EX_TEMPFAIL) where another holds the lock
_INHERITED = (
    *("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
_FLOCK = "hhqqi"  # struct flock: type, whence, start, length, pid
_WINDING_UP_SECONDS = 5.0


class Order(msgspec.Struct, frozen=True):
    """What a runner reads from its standard input: a pipe shows in no process list."""

    spec: LaunchSpec
    secrets: dict[str, str] = {}


def launch(
    session_dir: Path, spec: LaunchSpec, secret_env: dict[str, str], timeout_seconds: float = 20
) -> int:
    """Start the session's runner, detached; returns its pid once it listens.

    Raises SessionAlreadyRunning where one lives, AgentError with the runner's last words.
    """
    session_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_seconds
    while True:
        status, said = _start(session_dir, Order(spec, secret_env), deadline)
        if status == 0:
            return _run(session_dir).pid
        if status != LOCK_HELD:
            raise AgentError(f"The session's runner did not start: {said or f'status {status}'}")
        if not _is_winding_up(session_dir):
            raise SessionAlreadyRunning()


def is_running(session_dir: Path) -> bool:
    """Whether a runner holds the session's lock; the kernel drops it when the runner dies."""
    return holder(session_dir) is not None


def holder(session_dir: Path) -> int | None:
    """The pid that holds the session's lock. Asking takes no lock, so it disturbs nobody."""
    try:
        fd = os.open(session_dir / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        query = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, *_, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, query))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else int(pid)


def run_of(session_dir: Path) -> Identity | None:
    """The identity of the last runner, alive or not; None where none ever started."""
    try:
        return _run(session_dir)
    except (OSError, msgspec.DecodeError):
        return None


def _run(session_dir: Path) -> Identity:
    return msgspec.json.decode((session_dir / "run.json").read_bytes(), type=Identity)


def _start(session_dir: Path, order: Order, deadline: float) -> tuple[int, str]:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    log_path = session_dir / "runner.log"
    log = os.open(log_path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        before = os.fstat(log).st_size
        child = subprocess.Popen(
            [sys.executable, "-m", "agents.runner", str(session_dir.resolve())],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            child.communicate(msgspec.json.encode(order), max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()  # the runner it forked dies with it until it is ready
            child.communicate()
            return 1, "it was not ready in time; look at runner.log in the session's directory"
        return child.returncode, _last_lines(log, before)
    finally:
        os.close(log)


def _last_lines(log: int, before: int) -> str:
    said = os.pread(log, 65_536, max(before, os.fstat(log).st_size - 65_536))
    return "\n".join(said.decode("utf-8", "replace").strip().splitlines()[-5:])


def _is_winding_up(session_dir: Path) -> bool:
    """Wait for a holder that no longer listens; False where it still listens or stays."""
    deadline = time.monotonic() + _WINDING_UP_SECONDS
    while not (session_dir / SOCKET).exists():
        if not is_running(session_dir):
            return True
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return False
