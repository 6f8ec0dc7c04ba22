"""Carries a Claude Code conversation from one account's directory to another's.

A conversation is a file (and a directory of that name) under `projects/<directory>/`. The program
writes it; nobody may be writing while it is carried.
"""

import os
import re
import secrets
import shutil
from pathlib import Path

from agents.base import Endpoint

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,79}")


def carry(conversation_id: str, home: str, source: Endpoint, target: Endpoint) -> bool:
    """Copy what `target` lacks or has an older copy of; False where there is no such conversation.

    May be repeated: the newest copy wins, and each file appears whole or not at all.
    """
    if not _ID.fullmatch(conversation_id):
        return False
    try:
        start, end = _projects(home, source), _projects(home, target)
        found = [path for path in start.glob(f"*/{conversation_id}.jsonl") if _is_plain(path)]
        if not found:
            return False
        newest = max(found, key=lambda path: path.stat().st_mtime_ns)
        folder = end / newest.parent.name
        beside = newest.with_suffix("")
        if beside.is_dir():
            for path in (path for path in beside.rglob("*") if _is_plain(path)):
                _copy(path, folder / path.relative_to(newest.parent))
        _copy(newest, folder / newest.name)  # last: where it is, all of it is
    except OSError:
        return False
    return True


def _projects(home: str, endpoint: Endpoint) -> Path:
    return Path(endpoint.config_dir or Path(home, ".claude")).expanduser() / "projects"


def _is_plain(path: Path) -> bool:
    """The agent can write here: a link could lead to anything of another account."""
    return path.is_file() and not path.is_symlink()


def _copy(path: Path, to: Path) -> None:
    if to.exists() and (to.samefile(path) or to.stat().st_mtime_ns >= path.stat().st_mtime_ns):
        return
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.{secrets.token_hex(4)}.part")
    try:
        shutil.copy2(path, part, follow_symlinks=False)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
