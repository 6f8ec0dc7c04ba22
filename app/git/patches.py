"""Git's patch text read into hunks and numbered lines."""

import re
from collections.abc import Iterator

import msgspec

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A line of a hunk: kind " ", "+", "-" or "\\\\" (no newline at the end), text without it."""

    kind: str
    old_no: int | None
    new_no: int | None
    text: str


class Hunk(msgspec.Struct, frozen=True):
    """A run of changed lines with their surroundings."""

    header: str  # what git puts behind the second @@: the function it is in
    old_start: int
    new_start: int
    lines: tuple[Line, ...]


def patches(
    raw: bytes, line_characters: int, *, is_cut: bool
) -> Iterator[tuple[tuple[Hunk, ...], bool]]:
    """Each file's hunks, and whether they are incomplete. Counts rule: no line can pose as one."""
    lines = raw.split(b"\n")
    at, is_open = 0, False
    hunks: list[Hunk] = []
    while at < len(lines):
        line = lines[at]
        if line.startswith(b"diff --git "):
            if is_open:
                yield tuple(hunks), False
            hunks, is_open = [], True
            at += 1
        elif is_open and (found := _HUNK.match(line)):
            hunk, at = _hunk(lines, at + 1, found, line_characters)
            hunks.append(hunk)
        else:
            at += 1
    if is_open:
        yield tuple(hunks), is_cut


def _hunk(
    lines: list[bytes], at: int, found: re.Match[bytes], line_characters: int
) -> tuple[Hunk, int]:
    old_start, new_start = int(found[1]), int(found[3])
    old, new = old_start, new_start
    old_end = old_start + (1 if found[2] is None else int(found[2]))
    new_end = new_start + (1 if found[4] is None else int(found[4]))
    kept: list[Line] = []
    while at < len(lines) and (old < old_end or new < new_end):
        kind = lines[at][:1].decode("latin-1")
        text = _shown(lines[at][1:], line_characters)
        if kind == "+":
            kept.append(Line("+", None, new, text))
            new += 1
        elif kind == "-":
            kept.append(Line("-", old, None, text))
            old += 1
        elif kind == " ":
            kept.append(Line(" ", old, new, text))
            old, new = old + 1, new + 1
        elif kind == "\\":
            kept.append(Line("\\", None, None, text.strip()))
        else:
            break  # the output was cut here
        at += 1
    if at < len(lines) and lines[at].startswith(b"\\"):
        kept.append(Line("\\", None, None, _shown(lines[at][1:], line_characters).strip()))
        at += 1
    header = found[5].decode("utf-8", "replace").strip()
    return Hunk(header, old_start, new_start, tuple(kept)), at


def _shown(raw: bytes, limit: int) -> str:
    text = raw[: 4 * limit].decode("utf-8", "replace")
    return text if len(text) <= limit and len(raw) <= 4 * limit else text[:limit] + "…"
