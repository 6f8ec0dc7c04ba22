"""Finding entries."""

from logbook.entries import Entry


def find(entries: list[Entry], word: str) -> list[Entry]:
    """The entries whose text holds the word."""
    return [entry for entry in entries if word in entry.text]
