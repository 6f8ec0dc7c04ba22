"""Where two branches that merge as text may still not fit: by the names they change and use.

A hint, no proof: names are compared, nothing is resolved through imports or types.
"""

from collections.abc import Iterator
from itertools import islice

import msgspec

from app.git.symbols import Change, Edit, is_use
from app.git.symbols_edits import Edits

MOST = 20  # hints for one pair


class Hint(msgspec.Struct, frozen=True):
    """`how`: removed, moved, signature, body (and the other uses it), or both (both change it)."""

    name: str
    how: str
    path: str  # where it is defined
    line: int
    other_path: str  # where the other branch uses it, or changes it too
    other_line: int


class Compared(msgspec.Struct, frozen=True):
    """The hints between two branches, each at most MOST."""

    one_changes: tuple[Hint, ...] = ()  # and the other uses
    other_changes: tuple[Hint, ...] = ()
    both_change: tuple[Hint, ...] = ()


def compare(one: Edits, other: Edits, conflicting: frozenset[str]) -> Compared:
    """What each does to definitions that the other's new lines stand on.

    `conflicting` files are known to collide: they are not held against themselves again.
    """
    return Compared(
        tuple(islice(_hints(one, other, conflicting), MOST)),
        tuple(islice(_hints(other, one, conflicting), MOST)),
        tuple(islice(_both(one, other, conflicting), MOST)),
    )


def _both(one: Edits, other: Edits, conflicting: frozenset[str]) -> Iterator[Hint]:
    for path in sorted((one.edits.keys() & other.edits.keys()) - conflicting):
        theirs = {change.name: change for change in other.edits[path].changes}
        for change in one.edits[path].changes:
            if change.name in theirs:
                line = theirs[change.name].line
                yield Hint(change.name, "both", path, change.line, path, line)


def _hints(changing: Edits, using: Edits, conflicting: frozenset[str]) -> Iterator[Hint]:
    for path, edit in changing.edits.items():
        for change in edit.changes:
            for used_in in using.users.get(change.used_as, ()):
                use = using.edits[used_in]
                if used_in == path:
                    if path in conflicting or not _matters_at_home(change, use):
                        continue
                elif change.used_as in use.defines:
                    continue  # it means its own
                if is_use(change, use):
                    how = _moved(changing, change) or change.how
                    line = use.uses[change.used_as]
                    yield Hint(change.name, how, path, change.line, used_in, line)


def _matters_at_home(change: Change, use: Edit) -> bool:
    """A body that changes beside a new call in its own file is everyday work."""
    return change.how != "body" and all(each.name != change.name for each in use.changes)


def _moved(changing: Edits, change: Change) -> str:
    """Whether what is gone from one file is new in another."""
    if change.how != "removed":
        return ""
    return "moved" if any(change.name in e.added for e in changing.edits.values()) else ""
