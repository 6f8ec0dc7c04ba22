"""What a change is to the rules that assess it, and what they answer: a risk with its reason.

Everything here is hostile text: paths, lines and names come from an agent's branch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.git.diffs import FileDiff
from app.git.gate import Commit

_SHOWN_NAMES = 4
SHOWN_PATHS = 20  # of a reason that holds for thousands of files


@dataclass(frozen=True)
class Sides:
    """A file's whole content before and after; None where it is absent, or was not read."""

    old: bytes | None
    new: bytes | None


@dataclass(frozen=True)
class Change:
    """One branch's way from where it left the base, and what is known around it."""

    files: tuple[FileDiff, ...]
    commits: tuple[Commit, ...] = ()
    authors: frozenset[str] = frozenset()  # e-mails of its agents; empty: anyone may have made it
    usual_lines: int | None = None  # changed lines of what was merged here before; None: too few
    binary_bytes: Mapping[str, int] = field(default_factory=dict)  # by new path
    sides: Mapping[str, Sides] = field(default_factory=dict)  # by new path, of what `wants_sides`


@dataclass(frozen=True)
class Risk:
    """One thing that may go wrong: how much it weighs (0 to 100), in words, and where."""

    kind: str
    points: int
    says: str
    paths: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """As a merge request stores it."""
        paths = list(self.paths[:SHOWN_PATHS])
        return {"kind": self.kind, "points": self.points, "says": self.says, "paths": paths}


def paths_of(files: list[FileDiff]) -> tuple[str, ...]:
    return tuple(file.path for file in files)


def counted(number: int, noun: str) -> str:
    """`1 file`, `3 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def named(names: Iterable[str]) -> str:
    """`a, b, c, d and 3 more`."""
    found = sorted(set(names))
    more = f" and {len(found) - _SHOWN_NAMES} more" if len(found) > _SHOWN_NAMES else ""
    return ", ".join(found[:_SHOWN_NAMES]) + more


def added(file: FileDiff) -> list[str]:
    """The lines that the change adds to a file, as far as its diff goes."""
    return [line.text for hunk in file.hunks for line in hunk.lines if line.kind == "+"]


def removed(file: FileDiff) -> list[str]:
    """The lines that the change takes out of a file, as far as its diff goes."""
    return [line.text for hunk in file.hunks for line in hunk.lines if line.kind == "-"]
