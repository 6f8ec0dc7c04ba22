"""Reading, writing and editing a worktree's files for a model: the toolbox's other half.

Standard library only, for it runs inside the sandbox beside `agents.toolbox`. The sandbox is the
boundary; a path that leaves the worktree is refused here so that the model hears why.
"""

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

READ_BYTES, READ_LINES, LINE_BYTES = 256 * 1024, 2000, 64 * 1024
EDIT_BYTES = 10 * 1024 * 1024

Input = dict[str, Any]


class ToolError(Exception):
    """What went wrong and what to do, as the model should read it."""


class Files:
    """The file tools over one worktree; each takes the model's input and returns its answer."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, given: Input) -> str:
        path, first = self._file(given), int(number_of(given, "offset", 1))
        if first < 1:
            raise ToolError("`offset` is the first line to read and starts at 1.")
        limit = int(number_of(given, "limit", READ_LINES))
        lines: list[str] = []
        size = number = 0
        with path.open("rb") as file:
            if b"\0" in file.read(8192):
                raise ToolError(f"{given['path']} is binary; look at it with bash (file, xxd).")
            file.seek(0)
            for number, raw in enumerate(iter(lambda: file.readline(LINE_BYTES), b""), 1):
                if number < first:
                    continue
                if len(lines) >= limit or size + len(raw) > READ_BYTES:
                    lines.append(f"[more follows: read on with offset={number}]\n")
                    break
                size += len(raw)
                text = raw.decode(errors="replace").replace("\0", "\ufffd")
                lines.append(text if given.get("plain") else f"{number:6}\t{text}")
        if not lines:
            return "[the file is empty]" if not number else f"[the file has {number} lines]"
        return "".join(lines)

    def write(self, given: Input) -> str:
        path, data = self._path(given, writing=True), text_of(given, "content", True)
        if path.is_dir():
            raise ToolError(f"{given['path']} is a directory; name a file in it.")
        kind = "replaced" if path.exists() else "new file"
        return f"Wrote {_replace(path, data)} bytes to {given['path']} ({kind})."

    def edit(self, given: Input) -> str:
        self._path(given, writing=True)
        path, name = self._file(given), given["path"]
        old, new = text_of(given, "old"), text_of(given, "new", True)
        if old == new:
            raise ToolError("`old` and `new` are the same; nothing was changed.")
        if path.stat().st_size > EDIT_BYTES:
            raise ToolError(f"{name} is over {EDIT_BYTES} bytes; change it with a bash command.")
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            raise ToolError(f"{name} is not UTF-8 text; change it with a bash command.") from None
        starts = _occurrences(text, old)
        if not starts:
            raise ToolError(f"`old` does not occur in {name}. {_hint(text, old)}")
        where = ", ".join(str(text.count("\n", 0, start) + 1) for start in starts[:10])
        if len(starts) > 1 and not given.get("all"):
            raise ToolError(
                f"`old` occurs {len(starts)} times in {name} (lines {where}). Give more of the "
                "surrounding lines so that it is unique, or set `all` to true."
            )
        _replace(path, text.replace(old, new))
        return f"Edited {name} at line {where}."

    def _file(self, given: Input) -> Path:
        path = self._path(given)
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ToolError(f"{given['path']} is a directory; list it with bash (ls -la).")
        if not stat.S_ISREG(mode):
            raise ToolError(f"{given['path']} is not a regular file.")
        return path

    def _path(self, given: Input, writing: bool = False) -> Path:
        path = Path(os.path.realpath(self._root / text_of(given, "path")))
        if not path.is_relative_to(self._root):
            raise ToolError(
                f"{given['path']} is outside the worktree {self._root}; use a path inside it."
            )
        if writing and ".git" in path.relative_to(self._root).parts:
            raise ToolError(f"{given['path']} is git's own; use git commands in bash instead.")
        return path


def text_of(given: Input, name: str, empty: bool = False) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not (value or empty):
        raise ToolError(f"`{name}` must be a {'' if empty else 'non-empty '}string.")
    if "\0" in value and name != "content":
        raise ToolError(f"`{name}` must not contain a NUL character.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ToolError(f"`{name}` holds half a character (a lone surrogate).") from None
    return value


def number_of(given: Input, name: str, default: float) -> float:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ToolError(f"`{name}` must be a number.")
    return value


def _occurrences(text: str, old: str) -> list[int]:
    starts, at = [], text.find(old)
    while at >= 0:
        starts.append(at)
        at = text.find(old, at + len(old))
    return starts


def _hint(text: str, old: str) -> str:
    if "\r\n" in text and old.replace("\n", "\r\n") in text:
        return "Its lines end in CRLF: write them so in `old` and `new`."
    wanted = [line.strip() for line in old.strip().splitlines()]
    lines = [line.strip() for line in text.splitlines()]
    for number in range(len(lines) - len(wanted) + 1):
        if lines[number : number + len(wanted)] == wanted:
            return f"Line {number + 1} differs only in white space: read it and copy it exactly."
    return "Read the file and copy the text exactly, without line numbers."


def _replace(path: Path, text: str) -> int:
    """Write atomically, keeping the mode of a file that exists; the number of bytes."""
    data = text.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".quarterdeck-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return len(data)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
