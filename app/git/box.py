"""The box in which git touches an agent's files: bubblewrap, where it is there."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import msgspec

from app.git.binary import git_binary


class Box(msgspec.Struct, frozen=True):
    """What a git process that touches an agent's files may see; the rest is hidden or read-only."""

    read_write: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()


@cache
def can_box() -> bool:
    """Whether bubblewrap is there and can run git in a box."""
    if shutil.which("bwrap") is None:
        return False
    try:
        argv = [*box_arguments(Box(), None), git_binary(), "version"]
        return subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def box_arguments(box: Box, cwd: Path | None) -> list[str]:
    """What to put before a command to run it in the box, its directory at `cwd`."""
    argv = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"]
    argv += ["--dev", "/dev", "--proc", "/proc"]
    for hidden in dict.fromkeys((str(Path.home()), "/root", "/home", "/tmp", "/run", "/var/tmp")):
        if Path(hidden).is_dir() and hidden != "/":
            argv += ["--tmpfs", hidden]
    for path in box.read_only:
        argv += ["--ro-bind-try", str(path), str(path)]
    for path in box.read_write:
        argv += ["--bind-try", str(path), str(path)]
    return [*argv, "--chdir", str(cwd or "/"), "--"]
