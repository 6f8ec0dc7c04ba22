"""Risks by whose hand it was, and by what an eye does not see."""

import re
from collections.abc import Iterator

from app.services.change import Change, Risk, added, counted, named, paths_of, removed

# Characters that turn the order of text around, or are not drawn at all.
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u2060\u00ad\U000e0000-\U000e007f]")


def foreign_commits(change: Change) -> Iterator[Risk]:
    """Commits by somebody who did not work on the task here; anyone may have made the others."""
    foreign = [commit for commit in change.commits if commit.email not in change.authors]
    if not change.authors or not foreign:
        return
    names = named(commit.author or commit.email for commit in foreign)
    yield Risk("foreign_commits", 20, f"{counted(len(foreign), 'commit')} by {names}")


def hidden_characters(change: Change) -> Iterator[Risk]:
    found = [f for f in change.files if any(_HIDDEN.search(line) for line in added(f))]
    if found:
        says = "characters that are not seen, or turn the text around"
        yield Risk("hidden_characters", 60, says, paths_of(found))


def line_endings(change: Change) -> Iterator[Risk]:
    """Files in which nothing but the ends of lines changed."""
    found = []
    for file in change.files:
        old, new = removed(file), added(file)
        if old and old != new and [_bare(x) for x in old] == [_bare(x) for x in new]:
            found.append(file)
    if found:
        says = f"only line endings differ in {counted(len(found), 'file')}"
        yield Risk("line_endings", 5, says, paths_of(found))


def _bare(line: str) -> str:
    return line.rstrip("\r")


RULES = (foreign_commits, hidden_characters, line_endings)
