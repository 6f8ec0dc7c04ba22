"""Diffs as data, computed in gate.git and bounded; file contents by object id, never from disk."""

import os
import re
from typing import Literal

import msgspec

from app.errors import NotFound
from app.git.clones import Clones
from app.git.names import path_argument, path_text, require_path
from app.git.patches import Hunk, patches
from app.git.run import ZERO, require_oid, run_git

Status = Literal["added", "deleted", "modified", "renamed", "copied", "retyped"]
_STATUS: dict[str, Status] = {
    "A": "added",
    "D": "deleted",
    "M": "modified",
    "R": "renamed",
    "C": "copied",
    "T": "retyped",
}
_LOCKS = re.compile(
    r"(^|/)(.*[.-]lock|bun\.lockb|go\.sum|gradle\.lockfile|package-lock\.json"
    r"|npm-shrinkwrap\.json|packages\.lock\.json|pnpm-lock\.yaml)$"
)
_GENERATED = re.compile(
    r"(^|/)(dist|node_modules|vendor|__snapshots__)/|\.min\.(js|css)$|\.map$"
    r"|_pb2(_grpc)?\.pyi?$|\.pb\.go$|\.snap$"
)


class FileDiff(msgspec.Struct, frozen=True):
    """What happened to one file. Paths and lines are hostile text."""

    path: str
    old_path: str  # the same, but for renames and copies
    status: Status
    additions: int
    deletions: int
    old_mode: str  # "100644", "100755", "120000" link, "160000" submodule, "000000" absent
    new_mode: str
    old_blob: str = ""  # "MODE:OID" of the content, "" where there was none
    new_blob: str = ""
    is_binary: bool = False
    is_generated: bool = False
    is_cut: bool = False  # lines are missing from `hunks`
    hunks: tuple[Hunk, ...] = ()

    @property
    def mode_change(self) -> str:
        """`100644 → 100755` where only or also the mode changed, else ""."""
        absent = "000000" in (self.old_mode, self.new_mode)
        return (
            "" if absent or self.old_mode == self.new_mode else f"{self.old_mode} → {self.new_mode}"
        )


class Limits(msgspec.Struct, frozen=True):
    """How much of a diff is worth computing and showing."""

    file_lines: int = 3_000
    total_lines: int = 20_000
    files: int = 400  # with lines; all files are listed
    total_bytes: int = 8 << 20
    line_characters: int = 2_000


class Stat(msgspec.Struct, frozen=True):
    """A diff in three numbers."""

    files: int
    additions: int
    deletions: int


class Blob(msgspec.Struct, frozen=True):
    """A file of a commit. `content` stops at the asked size; a link's content is its target."""

    path: str
    mode: str
    size: int
    content: bytes

    @property
    def is_cut(self) -> bool:
        """Whether `content` is not all of it."""
        return len(self.content) < self.size


def diff(
    clones: Clones, base: str, head: str, limits: Limits | None = None
) -> tuple[FileDiff, ...]:
    """All files that differ between two commits or trees, in path order, lines up to the limits."""
    return tuple(_filled(clones, base, head, _listed(clones, base, head), limits or Limits()))


def file_diff(
    clones: Clones, base: str, head: str, path: str, limits: Limits | None = None
) -> FileDiff:
    """One file's diff by its new path, to open what `diff` cut; NotFound."""
    limits = limits or Limits(file_lines=50_000, total_lines=50_000)
    found = [file for file in _listed(clones, base, head) if file.path == path]
    if not found:
        raise NotFound(f"{path} is not changed here.")
    return _filled(clones, base, head, found, limits)[0]


def _filled(
    clones: Clones, base: str, head: str, files: list[FileDiff], limits: Limits
) -> list[FileDiff]:
    chosen = {files[at].path: files[at] for at in _chosen(files, limits)}
    if not chosen:
        return files
    paths = {path for file in chosen.values() for path in (file.path, file.old_path)}
    asked = sorted(path_argument(path) for path in paths)
    done = run_git(
        [*_diff_tree(base, head), "--raw", "-p", "-U3", "--full-index", "--", *asked],
        git_dir=clones.gate,
        limit_bytes=limits.total_bytes,
    )
    # a name is a folder's prefix too, so more than what was asked for may come: the list tells
    entries, text = _raw(done.stdout)
    pieces = patches(text, limits.line_characters, is_cut=done.is_cut)
    parts: dict[str, tuple[tuple[Hunk, ...], bool]] = {}
    for entry in entries:
        for _ in range(2 if entry.status == "retyped" else 1):  # retyped: deleted, then added
            before, was_cut = parts.get(entry.path, ((), False))
            hunks, is_cut = next(pieces, ((), True))
            parts[entry.path] = (before + hunks, was_cut or is_cut)
    return [
        msgspec.structs.replace(file, hunks=parts[file.path][0], is_cut=parts[file.path][1])
        if file.path in chosen and file.path in parts
        else file
        for file in files
    ]


def stat(clones: Clones, base: str, head: str) -> Stat:
    """How many files, added and deleted lines."""
    files = _listed(clones, base, head)
    added, deleted = sum(f.additions for f in files), sum(f.deletions for f in files)
    return Stat(len(files), added, deleted)


def changed_paths(clones: Clones, base: str, head: str) -> tuple[str, ...]:
    """The paths that differ, old names of renamed files included (for path rules)."""
    done = run_git(
        ["diff-tree", "-r", "-z", "--name-only", "--no-renames", *_two(base, head)],
        git_dir=clones.gate,
    )
    return tuple(path_text(name) for name in done.stdout.split(b"\0") if name)


def blob(clones: Clones, commit: str, path: str, max_bytes: int = 1 << 20) -> Blob:
    """A file of a commit, by the id its tree names; NotFound where there is none."""
    done = run_git(
        ["ls-tree", "-z", "-l", require_oid(commit), "--", require_path(path)], git_dir=clones.gate
    )
    entry, _, name = os.fsdecode(done.stdout).rstrip("\0").partition("\t")
    fields = entry.split()
    if name != path or len(fields) != 4 or fields[1] != "blob":
        raise NotFound(f"There is no file {path} in {commit[:12]}.")
    content = run_git(
        ["cat-file", "blob", fields[2]], git_dir=clones.gate, limit_bytes=max_bytes
    ).stdout
    return Blob(path, fields[0], int(fields[3]), content)


def _two(base: str, head: str) -> list[str]:
    return [require_oid(base), require_oid(head)]


def _diff_tree(base: str, head: str) -> list[str]:
    return [
        *("diff-tree", "-r", "-z", "-M", "--no-ext-diff", "--no-textconv", "--no-color"),
        *("--diff-algorithm=histogram", "--submodule=short", "--ignore-submodules=none"),
        *_two(base, head),
    ]


class _Entry(msgspec.Struct, frozen=True):
    path: str
    old_path: str
    status: Status
    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str


def _raw(output: bytes) -> tuple[list[_Entry], bytes]:
    """The list that `--raw -z` begins with, and the bytes behind it (none where it was cut off)."""
    entries: list[_Entry] = []
    at = 0
    while output.startswith(b":", at):
        try:
            name_at = output.index(b"\0", at) + 1
            fields = output[at + 1 : name_at - 1].decode().split(" ")
            old_mode, new_mode, old_oid, new_oid, letter = fields
            end = output.index(b"\0", name_at)
            old_path = path = path_text(output[name_at:end])
            if letter[0] in "RC":
                second = end + 1
                end = output.index(b"\0", second)
                path = path_text(output[second:end])
        except ValueError:
            return entries, b""
        status = _STATUS.get(letter[0], "modified")
        blobs = _blob_name(old_mode, old_oid), _blob_name(new_mode, new_oid)
        entries.append(_Entry(path, old_path, status, old_mode, new_mode, *blobs))
        at = end + 1
    return entries, output[at:].lstrip(b"\0\n")


def _blob_name(mode: str, oid: str) -> str:
    return f"{mode}:{oid}" if oid != ZERO else ""


def _listed(clones: Clones, base: str, head: str) -> list[FileDiff]:
    done = run_git([*_diff_tree(base, head), "--raw", "--numstat"], git_dir=clones.gate)
    entries, counts = _raw(done.stdout)
    fields = os.fsdecode(counts).split("\0")
    files, at = [], 0
    for entry in entries:
        added, deleted, name = fields[at].split("\t", 2)
        at += 1 if name else 3  # a rename's two names follow in fields of their own
        files.append(
            FileDiff(
                path=entry.path,
                old_path=entry.old_path,
                status=entry.status,
                additions=int(added) if added != "-" else 0,
                deletions=int(deleted) if deleted != "-" else 0,
                old_mode=entry.old_mode,
                new_mode=entry.new_mode,
                old_blob=entry.old_blob,
                new_blob=entry.new_blob,
                is_binary=added == "-",
                is_generated=is_generated(entry.path),
                is_cut=added != "-" and (added, deleted) != ("0", "0"),
            )
        )
    return files


def is_generated(path: str) -> bool:
    """Whether a file is usually written by a tool: lock files, minified, snapshots, vendored."""
    return bool(_LOCKS.search(path) or _GENERATED.search(path))


def is_lock(path: str) -> bool:
    """Whether a file pins the versions of what is depended on."""
    return bool(_LOCKS.search(path))


def _chosen(files: list[FileDiff], limits: Limits) -> frozenset[int]:
    """Which files' lines are asked for: written ones first, until the limits."""
    order = sorted(range(len(files)), key=lambda at: (files[at].is_generated, at))
    chosen: set[int] = set()
    total = 0
    for at in order:
        lines = files[at].additions + files[at].deletions
        if not lines or lines > limits.file_lines or len(chosen) >= limits.files:
            continue
        if total + lines <= limits.total_lines:
            chosen.add(at)
            total += lines
    return frozenset(chosen)
