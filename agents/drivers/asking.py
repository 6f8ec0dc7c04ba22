"""A few questions to a vendor's program, and its end: for meters and logins, never for work.

Blocking, for a thread. The program gets a process group of its own, which is killed afterwards
whatever happened, so that nothing of a question is left behind.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from agents.process import LineFramer

Message = dict[str, Any]

# A program that asks its vendor needs the network as the human set it up, and nothing more.
PASSED = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
MAX_BYTES = 16 * 1024 * 1024
_CHUNK = 65_536
LEAVE_SECONDS, TERM_SECONDS = 2.0, 0.5


def passed(env: Mapping[str, str]) -> dict[str, str]:
    """The part of `env` that such a program gets."""
    return {name: env[name] for name in PASSED if name in env}


def exchange(
    argv: Sequence[str],
    env: Mapping[str, str],
    messages: Sequence[Message],
    reply_id: Callable[[Message], str],
    wanted: frozenset[str],
    seconds: float,
) -> dict[str, Message]:
    """Send the messages, a line each; returns the wanted replies by id, as many as came in time.

    Raises OSError where the program does not start.
    """
    deadline = time.monotonic() + seconds
    child = _start(argv, env, subprocess.PIPE)
    try:
        with suppress(BrokenPipeError):
            _write(child, b"".join(msgspec.json.encode(line) + b"\n" for line in messages))
        return _replies(child, reply_id, wanted, deadline)
    finally:
        _end(child)


def output(argv: Sequence[str], env: Mapping[str, str], seconds: float) -> str:
    """What the program prints in that time; raises OSError where it does not start."""
    child = _start(argv, env, subprocess.DEVNULL)
    try:
        return b"".join(_chunks(child, time.monotonic() + seconds)).decode("utf-8", "replace")
    finally:
        _end(child)


def _start(argv: Sequence[str], env: Mapping[str, str], stdin: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        list(argv),
        env=dict(env),
        cwd="/",  # whatever the program keeps by directory, it keeps once
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _write(child: "subprocess.Popen[bytes]", data: bytes) -> None:
    """A pipe takes 64 KiB without a reader, and questions are short: this does not block."""
    assert child.stdin is not None
    child.stdin.write(data)
    child.stdin.flush()


def _replies(
    child: "subprocess.Popen[bytes]",
    reply_id: Callable[[Message], str],
    wanted: frozenset[str],
    deadline: float,
) -> dict[str, Message]:
    framer, found = LineFramer(MAX_BYTES), dict[str, Message]()
    for chunk in _chunks(child, deadline):
        for message in map(_decoded, framer.push(chunk)):
            if message is not None and (name := reply_id(message)) in wanted:
                found[name] = message
        if wanted <= found.keys():
            break
    return found


def _chunks(child: "subprocess.Popen[bytes]", deadline: float) -> Iterator[bytes]:
    """What it prints, until it closes its output, time is up or it is too much."""
    assert child.stdout is not None
    file, read = child.stdout.fileno(), 0
    while read < MAX_BYTES and (left := deadline - time.monotonic()) > 0:
        if not _is_ready(file, left) or not (chunk := os.read(file, _CHUNK)):
            return
        read += len(chunk)
        yield chunk


def _is_ready(file: int, seconds: float) -> bool:
    poll = select.poll()  # a server has files beyond the 1024 that `select` knows
    poll.register(file, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _decoded(line: bytes) -> Message | None:
    try:
        message = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message if isinstance(message, dict) else None


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End of its input, then TERM, then KILL: a program that is cut off leaves its locks behind.

    It is not waited for before its group is killed: until then its number is still its own.
    """
    for pipe in (child.stdin, child.stdout):
        with suppress(OSError):  # what could not be written any more
            if pipe is not None:
                pipe.close()
    gone = os.pidfd_open(child.pid)
    try:
        if not _is_ready(gone, LEAVE_SECONDS):
            os.killpg(child.pid, signal.SIGTERM)
            _is_ready(gone, TERM_SECONDS)
    finally:
        os.close(gone)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        child.wait(TERM_SECONDS)
