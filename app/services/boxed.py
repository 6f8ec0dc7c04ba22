"""One shell command of a repository's own, run boxed, time-limited, and ended as a group."""

import os
import select
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents import reaper, sandbox
from agents.base import LaunchSpec
from app.git.run import kill_group
from app.services.context import Context
from app.services.environment import box, child_environment

OUTPUT_BYTES = 10_000_000
_TAIL_BYTES = 64_000


@dataclass(frozen=True)
class Ended:
    """How a command ended: `exit_code` None where its time ran out."""

    exit_code: int | None
    output_tail: str


def run_boxed(
    ctx: Context,
    command: str,
    *,
    cwd: Path,
    home: Path,
    log: Path,
    limit_seconds: float,
    read_write: Sequence[Path] = (),
    read_only: Sequence[Path] = (),
    env: dict[str, str] | None = None,
) -> Ended:
    """Run it to its end or limit; blocking. Output goes to `log`, cut where it grows too long."""
    mark = f"boxed-{uuid.uuid4().hex[:12]}"
    given = {"CI": "true", reaper.MARK: mark} | (env or {})
    whole_env = child_environment(home, "quarterdeck") | given
    spec = LaunchSpec(
        session_id=mark,
        driver="",
        cwd=str(cwd),
        home=str(home),
        env=whole_env,
        sandbox=box(ctx, [cwd, home, *read_write], read_only, env or {}),
    )
    argv = ["/bin/sh", "-c", command]
    process = subprocess.Popen(
        sandbox.wrap(argv, spec) if spec.sandbox else argv,
        cwd=cwd,
        env=whole_env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + limit_seconds
    try:
        in_time = _copy_output(process, log, deadline)
        exit_code = process.wait(5) if in_time else None
    except subprocess.TimeoutExpired:
        exit_code = None
    finally:
        kill_group(process)
        reaper.kill_marked(mark)  # a daemon that left the group, where no box ended it
        if process.stdout is not None:
            process.stdout.close()
    tail = _tail(log)
    if exit_code is None:
        tail += f"\n[stopped after {limit_seconds:.0f} s]"
    return Ended(exit_code, tail)


def _copy_output(process: subprocess.Popen[bytes], log: Path, deadline: float) -> bool:
    """Drain the pipe into the log until the command ends; False where the deadline came first."""
    assert process.stdout is not None
    fd, written = process.stdout.fileno(), 0
    with log.open("wb") as file:
        while (left := deadline - time.monotonic()) > 0:
            chunk = _read_within(fd, min(left, 0.2))
            if chunk == b"" or (chunk is None and process.poll() is not None):
                return True  # a daemon that keeps the pipe open does not keep us
            if chunk and written < OUTPUT_BYTES:
                written += file.write(chunk[: OUTPUT_BYTES - written])
                file.flush()
                if written >= OUTPUT_BYTES:
                    file.write(b"\n[output cut]\n")
    return False


def _read_within(fd: int, seconds: float) -> bytes | None:
    """What the pipe has; b"" at its end, None where nothing came in time."""
    if not select.select([fd], [], [], seconds)[0]:
        return None
    return os.read(fd, 65_536)


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace").replace("\0", "\ufffd")
