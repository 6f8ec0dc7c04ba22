"""Risks by what happened to files as such: modes, links, binaries, size; content is not read."""

from collections.abc import Iterator

from app.services.change import Change, Risk, counted, paths_of
from app.services.sizes import kind_of, sizes, written_lines

_SUBMODULE, _LINK, _EXECUTABLE, _ABSENT = "160000", "120000", "100755", "000000"
_LARGE_TIMES, _LARGE_LINES = 2.0, 200  # so much more than usual, and no fewer lines than that
_HEAVY_BYTES = 10**6  # stays in every clone for ever
_HUGE_LINES = 1_000  # large where nothing is known of what is usual


def submodules(change: Change) -> Iterator[Risk]:
    found = [f for f in change.files if _SUBMODULE in (f.old_mode, f.new_mode)]
    if found:
        yield Risk("submodule", 40, "another repository's commit is pulled in", paths_of(found))


def links(change: Change) -> Iterator[Risk]:
    found = [f for f in change.files if f.new_mode == _LINK]
    if found:
        yield Risk("link", 30, "a symbolic link: it may point anywhere", paths_of(found))


def permissions(change: Change) -> Iterator[Risk]:
    """Files that become executable, or stop to be."""
    made = [f for f in change.files if f.new_mode == _EXECUTABLE and f.old_mode != _EXECUTABLE]
    lost = [f for f in change.files if f.old_mode == _EXECUTABLE and f.new_mode == "100644"]
    if made:
        yield Risk("permissions", 15, f"{counted(len(made), 'file')} executable", paths_of(made))
    if lost:
        says = f"{counted(len(lost), 'file')} no longer executable"
        yield Risk("permissions", 10, says, paths_of(lost))


def binaries(change: Change) -> Iterator[Risk]:
    """Files without lines to read: binary ones, and text that is too long to be compared."""
    found = [f for f in change.files if f.is_binary and kind_of(f.path) != "locks"]
    if found:
        size = sum(change.binary_bytes.get(f.path, 0) for f in found)
        points = 15 if size < _HEAVY_BYTES else 30
        says = f"{counted(len(found), 'binary file')}, {_bytes(size)}"
        yield Risk("binary", points, says, paths_of(found))


def size(change: Change) -> Iterator[Risk]:
    """Much more than what is merged here usually, or very much at all."""
    lines = written_lines(sizes(change.files))
    usual = change.usual_lines
    if usual is None:
        if lines >= _HUGE_LINES:
            yield Risk("large", 20, f"{lines:,} lines written")
    elif lines >= max(_LARGE_LINES, _LARGE_TIMES * usual):
        says = f"{lines / max(usual, 1):.1f} times the lines that are usual here ({usual:,})"
        yield Risk("large", min(30, round(5 * lines / max(usual, 1))), says)


def unread(change: Change) -> Iterator[Risk]:
    """Lines of written files that no rule has seen, since the diff stops before them."""
    kinds = ("generated", "locks")
    found = [f for f in change.files if f.is_cut and kind_of(f.path) not in kinds]
    if found:
        says = f"{counted(len(found), 'file')} too large to be assessed"
        yield Risk("unread", 25, says, paths_of(found))


def generated(change: Change) -> Iterator[Risk]:
    found = [f for f in change.files if kind_of(f.path) == "generated"]
    if found and len(found) < len(change.files):
        yield Risk("generated", 5, counted(len(found), "generated file"), paths_of(found))


def renamed(change: Change) -> Iterator[Risk]:
    found = [f for f in change.files if f.status == "renamed" and f.additions + f.deletions]
    if found:
        yield Risk("rename_edited", 5, "renamed and edited at once", paths_of(found))


def empty(change: Change) -> Iterator[Risk]:
    if not change.files:
        says = "commits that change nothing" if change.commits else "no commits"
        yield Risk("empty", 5, says)


def _bytes(number: int) -> str:
    for unit, one in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= one:
            return f"{number / one:.1f} {unit}"
    return f"{number} B"


RULES = (submodules, links, permissions, binaries, size, unread, generated, renamed, empty)
