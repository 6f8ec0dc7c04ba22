"""The one way to start git: built environment, bounded time, killed as a group, boxed at need.

Nothing of the caller's environment reaches git, and no configuration but the directory's own. The
human's own repository is the exception (`human=True`): there their configuration counts (filters,
ownership), their hooks still do not run.
"""

import os
import re
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from app.errors import GitError, GitTimeout
from app.git.binary import git_binary
from app.git.box import Box, box_arguments, can_box

if TYPE_CHECKING:
    import git

OID = re.compile(r"[0-9a-f]{40}")
ZERO = "0" * 40

_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=true",
    "core.filesRefLockTimeout=2000",
    "core.packedRefsTimeout=5000",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "protocol.file.allow=always",
    "advice.detachedHead=false",
)
_OURS = (
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.quotePath=false",
    "core.bigFileThreshold=16m",  # larger files are binary to us: never loaded whole to be diffed
    "merge.conflictStyle=merge",
    "checkout.workers=4",
)
_TRUSTED_NAMES = (
    *("HOME", "USER", "XDG_CONFIG_HOME", "EMAIL", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"),
    *(f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")),
)


_held = threading.local()


@contextmanager
def inherited(descriptor: int) -> Iterator[None]:
    """Let every git that this thread starts hold the descriptor too.

    So a lock outlives a server that is killed for as long as a git it started still writes.
    """
    before = getattr(_held, "descriptors", ())
    _held.descriptors = (*before, descriptor)
    try:
        yield
    finally:
        _held.descriptors = before


class Completed(msgspec.Struct, frozen=True):
    """What git said. `is_cut`: more than `limit_bytes` came, the rest was not read."""

    returncode: int
    stdout: bytes
    stderr: str
    is_cut: bool = False

    @property
    def text(self) -> str:
        """Standard output, decoded and stripped."""
        return self.stdout.decode("utf-8", "replace").strip()


def run_git(
    args: Sequence[str],
    *,
    git_dir: Path | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: bytes | IO[bytes] = b"",
    stdout: IO[bytes] | None = None,
    accept: Sequence[int] = (0,),
    timeout_seconds: float = 120.0,
    limit_bytes: int = 256 << 20,
    human: bool = False,
    box: Box | None = None,
) -> Completed:
    """Run one git command to its end; raises GitError on an exit status not in `accept`."""
    argv = [git_binary(), *_flags(human), *args]
    whole_env = _environment(human) | (env or {})
    if git_dir is not None:
        whole_env["GIT_DIR"] = str(git_dir)
    if box is not None and can_box():
        argv = [*box_arguments(box, cwd), *argv]
    done = run_bounded(
        argv, whole_env, cwd or Path("/"), stdin, stdout, timeout_seconds, limit_bytes
    )
    if done.returncode not in accept and not done.is_cut:
        raise GitError(f"git {_verb(args)} failed: {_verdict(done)}", detail=done.stderr)
    return done


def _verb(args: Sequence[str]) -> str:
    at = 0
    while args[at] == "-c":
        at += 2
    return args[at]


def _verdict(done: Completed) -> str:
    lines = done.stderr.strip().splitlines()
    said = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (said or lines[-1:] or [f"exit status {done.returncode}"])[0]


def run_bounded(
    argv: list[str],
    env: dict[str, str],
    cwd: Path,
    stdin: bytes | IO[bytes] = b"",
    stdout: IO[bytes] | None = None,
    timeout_seconds: float = 120.0,
    limit_bytes: int = 256 << 20,
) -> Completed:
    """Run a program to its end, whatever its exit status; its group ends with it. GitTimeout."""
    deadline = time.monotonic() + timeout_seconds
    with tempfile.TemporaryFile() as fed, tempfile.TemporaryFile() as said:
        source = fed
        if isinstance(stdin, bytes):
            fed.write(stdin)
            fed.seek(0)
        else:
            source = stdin  # type: ignore[assignment]
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=source,
            stdout=stdout or subprocess.PIPE,
            stderr=said,
            start_new_session=True,
            pass_fds=getattr(_held, "descriptors", ()),
        )
        try:
            output, is_cut = _drain(process, deadline, limit_bytes)
            if is_cut:
                kill_group(process)
            returncode = process.wait(max(0.1, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            problem = f"git took longer than {timeout_seconds:.0f} s and was stopped: try again"
            raise GitTimeout(problem) from None
        finally:
            kill_group(process)
            if process.stdout is not None:
                process.stdout.close()
        said.seek(0)
        return Completed(returncode, output, said.read(65536).decode("utf-8", "replace"), is_cut)


def _drain(
    process: subprocess.Popen[bytes], deadline: float, limit_bytes: int
) -> tuple[bytes, bool]:
    if process.stdout is None:
        return b"", False
    descriptor, size = process.stdout.fileno(), 0
    chunks: list[bytes] = []
    poller = select.poll()  # not select(): a busy server has descriptors above 1024
    poller.register(descriptor, select.POLLIN)
    while size <= limit_bytes:
        left = deadline - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            raise TimeoutError
        chunk = os.read(descriptor, 1 << 20)
        if not chunk:
            return b"".join(chunks), False
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)[:limit_bytes], True


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process started as a session leader, with everything it started."""
    if process.returncode is None:  # not reaped yet, so its number is still its own
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _flags(human: bool) -> list[str]:
    settings = _CONFIG if human else _CONFIG + _OURS
    return ["--no-pager", *(part for setting in settings for part in ("-c", setting))]


def _environment(human: bool) -> dict[str, str]:
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "TZ": "UTC",
        "HOME": "/nonexistent",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_EDITOR": "true",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_LITERAL_PATHSPECS": "1",
    }
    if human:
        return env | {name: os.environ[name] for name in _TRUSTED_NAMES if name in os.environ}
    return env | {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
    }


@contextmanager
def open_repository(path: Path, *, human: bool = False) -> Iterator["git.Repo"]:
    """GitPython's view of a repository, for refs and commits; its processes get our environment."""
    git_binary()  # its import fails in its own words where git is missing
    import git

    try:
        with git.Repo(path, search_parent_directories=human, expand_vars=False) as repository:
            repository.git.update_environment(**_environment(human))
            yield repository
    except (git.GitError, ValueError, OSError) as error:
        raise GitError(f"{path} can't be read: see what `git fsck` says there.") from error


def require_oid(value: str) -> str:
    """The commit id itself, if it is forty hexadecimal digits; nothing else may name an object."""
    if not OID.fullmatch(value):
        raise GitError("An object is named by its full 40-digit id only.")
    return value
