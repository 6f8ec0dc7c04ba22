"""Entries: one line of the log each."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """What someone noted at some time."""

    at: datetime
    author: str
    tags: tuple[str, ...]
    text: str


def parse(line: str) -> Entry:
    """The entry a line holds; ValueError says what is wrong with it."""
    parts = [part.strip() for part in line.split("|")]
    if len(parts) != 4:
        raise ValueError(f"expected four fields, found {len(parts)}: {line!r}")
    at, author, tags, text = parts
    names = tuple(tag.lstrip("#") for tag in tags.split())
    return Entry(datetime.strptime(at, "%Y-%m-%d %H:%M"), author, names, text)


def load(path: Path) -> list[Entry]:
    """All entries of a log, in the file's order; empty lines don't count."""
    return [parse(line) for line in path.read_text().splitlines() if line.strip()]
