"""What branches did to symbols: their changed files read from gate.git, each pair of blobs once.

Bounded: files up to MAX_BYTES, MAX_FILES of a branch, `seconds` a look. What is not read is told,
by file ending; what there was no time for is read by the next look.
"""

import posixpath
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from app.git import symbols
from app.git.clones import Clones
from app.git.contents import TOTAL_BYTES, blob_sizes, blobs
from app.git.diffs import is_generated
from app.git.names import path_text
from app.git.run import require_oid, run_git

MAX_BYTES = 256 << 10
MAX_FILES = 300
_FILE_MODES = ("100644", "100755")

Span = tuple[str, str]  # from a commit, to a commit


class Changed(msgspec.Struct, frozen=True):
    """One file that differs; the blob ids are "" where there is no plain file on that side."""

    path: str
    old_path: str
    old_blob: str
    new_blob: str

    @property
    def ending(self) -> str:
        name = posixpath.basename(self.path)
        return posixpath.splitext(name)[1].lower() or name


class Edits(msgspec.Struct, frozen=True):
    """What a branch changed: its paths, and what that means to the symbols it could be read for."""

    paths: tuple[str, ...] = ()
    edits: dict[str, symbols.Edit] = {}
    users: dict[str, tuple[str, ...]] = {}  # a name: the files whose new lines use it
    unread: dict[str, int] = {}  # file ending: how many
    is_whole: bool = True  # False: there was no time for all


class Reader:
    """Keeps what it read, as long as it is asked for."""

    def __init__(self) -> None:
        self._changed: dict[Span, tuple[Changed, ...]] = {}
        self._edits: dict[tuple[str, str, str], symbols.Edit | None] = {}  # None: too large
        self._told: dict[Span, Edits] = {}

    def read(self, clones: Clones, spans: Iterable[Span], seconds: float) -> dict[Span, Edits]:
        """What each branch changed, from where it left the base (or another commit) to its end."""
        deadline = time.monotonic() + seconds
        wanted = list(dict.fromkeys(spans))
        new = [span for span in wanted if span not in self._changed]
        self._changed = {span: self._changed[span] for span in wanted if span in self._changed}
        self._changed |= changed_files(clones, new)
        keys = {
            key: None
            for span in wanted
            for file in self._changed[span][:MAX_FILES]
            if (key := _key(file)) is not None
        }
        self._edits = {key: self._edits[key] for key in keys if key in self._edits}
        self._fill(clones, [key for key in keys if key not in self._edits], deadline)
        told = {s: self._told.get(s) or self._tell(self._changed[s]) for s in wanted}
        self._told = {span: edits for span, edits in told.items() if edits.is_whole}
        return told

    def _fill(self, clones: Clones, keys: list[tuple[str, str, str]], deadline: float) -> None:
        sizes = blob_sizes(clones, {blob for key in keys for blob in key[1:] if blob})
        for key in keys:
            if any(sizes.get(blob, 0) > MAX_BYTES for blob in key[1:]):
                self._edits[key] = None
        for some in _chunks([key for key in keys if key not in self._edits], sizes):
            if time.monotonic() > deadline:
                return
            texts = blobs(clones, {blob for key in some for blob in key[1:] if blob})
            for language, old, new in some:
                if time.monotonic() > deadline:
                    return
                edit = symbols.edit(language, texts.get(old), texts.get(new))
                self._edits[language, old, new] = edit

    def _tell(self, files: tuple[Changed, ...]) -> Edits:
        edits: dict[str, symbols.Edit] = {}
        unread = Counter(file.ending for file in files[MAX_FILES:])
        is_whole = True
        for file in files[:MAX_FILES]:
            key = _key(file)
            if key is None or (key in self._edits and self._edits[key] is None):
                unread[file.ending] += 1
            elif (edit := self._edits.get(key)) is not None:
                edits[file.path] = edit
            else:
                is_whole = False
        paths = tuple(file.path for file in files)
        return Edits(paths, edits, _users(edits), dict(unread), is_whole)


def _users(edits: dict[str, symbols.Edit]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for path, edit in edits.items():
        for name in edit.uses:
            found.setdefault(name, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def changed_files(clones: Clones, spans: Iterable[Span]) -> dict[Span, tuple[Changed, ...]]:
    """The files that differ between two commits, for many pairs of commits by one git."""
    asked = list(spans)
    if not asked:
        return {}
    done = run_git(
        [
            *("diff-tree", "--stdin", "--always", "-r", "-z", "--raw", "--no-abbrev"),
            *("-M", "-l400", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none"),
        ],
        git_dir=clones.gate,
        # "COMMIT PARENT": what the commit changed, were that its parent
        stdin="".join(
            f"{require_oid(end)} {require_oid(start)}\n" for start, end in asked
        ).encode(),
    )
    fields = iter([path_text(field) for field in done.stdout.split(b"\0")])
    found: list[list[Changed]] = []
    for field in fields:
        if not field.startswith(":"):
            found.append([])  # a commit's id begins its list
            continue
        old_mode, new_mode, old, new, letter = field[1:].split(" ")
        old_path = path = next(fields)
        if letter[0] in "RC":
            path = next(fields)
        sides = (old if old_mode in _FILE_MODES else "", new if new_mode in _FILE_MODES else "")
        found[-1].append(Changed(path, old_path, *sides))
    return dict(zip(asked, map(tuple, found[: len(asked)]), strict=True))


def _key(file: Changed) -> tuple[str, str, str] | None:
    language = symbols.language_of(file.path)
    if language is None or is_generated(file.path) or not (file.old_blob or file.new_blob):
        return None
    return language, file.old_blob, file.new_blob


def _chunks(
    keys: list[tuple[str, str, str]], sizes: dict[str, int]
) -> Iterator[list[tuple[str, str, str]]]:
    some: list[tuple[str, str, str]] = []
    total = 0
    for key in keys:
        some.append(key)
        total += sum(sizes.get(blob, 0) for blob in key[1:])
        if total > TOTAL_BYTES:
            yield some
            some, total = [], 0
    if some:
        yield some
