"""Snapshots: a whole worktree as a commit in gate.git, before it is reused or removed.

Snapshots hold bytes as they are on disk (no filter, no line ending conversion) and are written by
fast-import from files that we open ourselves, following no link; a repository nested in the
worktree is kept with its own `.git`, under another name.
"""

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec

from app.errors import GitError, WorktreeUnreadable
from app.git.clones import (
    BRANCHES,
    SNAPSHOTS,
    Clones,
    agent_refs,
    fetch_from_work,
    locked,
    resolve,
    update_refs,
)
from app.git.gate import fetch_branch
from app.git.merging import tree_of
from app.git.names import is_name
from app.git.repositories import QUARTERDECK
from app.git.run import OID, ZERO, require_oid, run_git
from app.git.tree import Changes, changes

HIDDEN_GIT = "dot-git.quarterdeck"  # a tree can't hold `.git`
EMPTY = "empty.quarterdeck"  # nor an empty folder, and a `.git` without `refs` is none
_WHOLE_BYTES = 64 << 20  # files up to this size are read at once
_HEADS = "refs/heads/"


class Worktree(msgspec.Struct, frozen=True):
    """An agent's directory, the branch it was claimed for and the commit that branch began at."""

    agent: str
    branch: str
    base_sha: str
    path: Path


class Snapshot(msgspec.Struct, frozen=True):
    """A commit in gate.git that holds a whole worktree."""

    sha: str
    ref: str
    head_sha: str  # the commit the worktree stood on


class Described(msgspec.Struct, frozen=True):
    """What a snapshot says of where it came from."""

    agent: str
    branch: str
    base_sha: str
    head_sha: str


def snapshot(
    clones: Clones, worktree: Worktree, label: str, also: Sequence[str] = ()
) -> Snapshot | None:
    """Everything in the worktree as a commit in gate.git; None where its branch has it all.

    Untracked files are in it, ignored ones only where they match a pattern of `also`.
    """
    with locked(clones):
        return take_snapshot(clones, worktree, label, also)


def take_snapshot(
    clones: Clones,
    worktree: Worktree,
    label: str,
    also: Sequence[str] = (),
    *,
    always: bool = False,
) -> Snapshot | None:
    """`snapshot` for callers that hold the repository; `always` makes one of a clean tree too."""
    branch, head = agent_head(clones, worktree)
    found = Changes()
    if worktree.path.is_dir():
        found = changes(clones, worktree.agent, worktree.path, head, refresh=False, also=also)
    if not found and branch is not None and not always:
        return None
    stamp = datetime.now(UTC)
    name = label if is_name(label) else "snapshot"
    ref = f"{SNAPSHOTS}{worktree.agent}/{stamp:%Y%m%dT%H%M%S.%fZ}-{name}"
    told = Described(worktree.agent, branch or worktree.branch, worktree.base_sha, head)
    with tempfile.TemporaryFile(dir=clones.directory) as stream:
        _write_stream(stream, ref, _message(name, told), head, worktree.path, found, stamp)
        stream.seek(0)
        run_git(
            ["fast-import", "--quiet", "--done", "--date-format=raw"],
            git_dir=clones.gate,
            stdin=stream,
            timeout_seconds=600,
        )
    sha = resolve(clones.gate, ref)
    if sha is None:
        raise GitError("The snapshot was not written; nothing was removed.")
    if not always and branch is not None and tree_of(clones, sha) == tree_of(clones, head):
        update_refs(clones.gate, [(ref, ZERO, None)])  # files written again with what they held
        return None
    return Snapshot(sha, ref, head)


def agent_head(clones: Clones, worktree: Worktree) -> tuple[str | None, str]:
    """The branch and commit the worktree stands on, fetched into gate.git.

    The branch is None where HEAD is detached or spoilt; the commit then is HEAD's if there is one,
    else the claimed branch's, else the base.
    """
    heads = agent_refs(clones, worktree.agent)
    said = _read_head(clones.admin(worktree.agent) / "HEAD")
    branch = said.removeprefix("ref: ").removeprefix(_HEADS)
    if said.startswith("ref: ") and branch in heads and is_name(branch.split("/", 2)[-1]):
        return branch, fetch_branch(clones, worktree.agent, branch)
    loose = heads.get(branch, said)  # a branch that is not named like ours, or a detached HEAD
    if OID.fullmatch(loose):
        try:
            fetch_from_work(clones, worktree.agent, loose)
            return None, loose
        except GitError:
            pass  # an id of nothing: fall back to what we know
    if worktree.branch in heads:
        return None, fetch_branch(clones, worktree.agent, worktree.branch)
    kept = resolve(clones.gate, BRANCHES + worktree.branch.removeprefix("qd/"))
    return None, kept or worktree.base_sha


def merge_head(clones: Clones, agent: str) -> str:
    """The commit that the agent is merging in right now, "" where it is not; its word only."""
    said = _read_head(clones.admin(agent) / "MERGE_HEAD")
    return said if OID.fullmatch(said) else ""


def _read_head(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 1024).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _message(label: str, told: Described) -> bytes:
    lines = [f"Snapshot: {label}", ""]
    lines += [f"Quarterdeck-Agent: {told.agent}", f"Quarterdeck-Branch: {told.branch}"]
    lines += [f"Quarterdeck-Base: {told.base_sha}", f"Quarterdeck-Head: {told.head_sha}", ""]
    return "\n".join(lines).encode()


def described(clones: Clones, sha: str) -> Described:
    """Where a snapshot came from; GitError if the commit is no snapshot."""
    done = run_git(["cat-file", "commit", require_oid(sha)], git_dir=clones.gate)
    trailers = dict(
        line.removeprefix("Quarterdeck-").partition(": ")[::2]
        for line in done.text.splitlines()
        if line.startswith("Quarterdeck-")
    )
    try:
        return Described(trailers["Agent"], trailers["Branch"], trailers["Base"], trailers["Head"])
    except KeyError:
        raise GitError(f"{sha[:12]} is not a snapshot.") from None


def _write_stream(
    stream: IO[bytes],
    ref: str,
    message: bytes,
    head: str,
    root: Path,
    found: Changes,
    at: datetime,
) -> None:
    who = f"{QUARTERDECK.name} <{QUARTERDECK.email}> {int(at.timestamp())} +0000\n".encode()
    stream.write(b"feature done\ncommit %s\n" % ref.encode())
    stream.write(b"author " + who + b"committer " + who)
    stream.write(b"data %d\n%s\nfrom %s\n" % (len(message), message, head.encode()))
    for name in (*found.deleted, *found.nested):
        stream.write(b"D %s\n" % _quoted(name))
    if not root.is_dir():
        stream.write(b"done\n")
        return
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name in (*found.changed, *found.untracked):
            _write_file(stream, descriptor, name, name)
        for nested in found.nested:
            for name in _walk(root, nested):
                shown = "/".join(HIDDEN_GIT if p == ".git" else p for p in name.split("/"))
                if name.endswith(f"/{EMPTY}"):
                    stream.write(b"M 100644 inline %s\ndata 0\n\n" % _quoted(shown))
                else:
                    _write_file(stream, descriptor, name, shown)
    finally:
        os.close(descriptor)
    stream.write(b"done\n")


def _quoted(name: str) -> bytes:
    raw = os.fsencode(name)
    for plain, escaped in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n")):
        raw = raw.replace(plain, escaped)
    return b'"' + raw + b'"'


def _walk(root: Path, nested: str) -> Iterator[str]:
    for directory, names, files in os.walk(root / nested, onerror=_refuse):
        links = [name for name in names if (Path(directory) / name).is_symlink()]
        for name in files + links if names or files else [EMPTY]:
            yield str((Path(directory) / name).relative_to(root))


def _refuse(error: OSError) -> None:
    raise WorktreeUnreadable(str(error.filename), error.strerror or "unreadable")


def _write_file(stream: IO[bytes], root: int, name: str, shown: str) -> None:
    """Append one file, opened below `root` with no link followed; special files are none."""
    try:
        parent, last = _open_parent(root, name)
    except OSError as error:
        raise WorktreeUnreadable(name, error.strerror or "unreadable") from error
    try:
        mode = os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            target = os.fsencode(os.readlink(last, dir_fd=parent))
            stream.write(b"M 120000 inline %s\ndata %d\n" % (_quoted(shown), len(target)))
            stream.write(target + b"\n")
        elif stat.S_ISREG(mode):
            kind = b"100755" if mode & 0o100 else b"100644"
            stream.write(b"M %s inline %s\n" % (kind, _quoted(shown)))
            _copy_bytes(stream, parent, last, name)
    except FileNotFoundError:
        stream.write(b"D %s\n" % _quoted(shown))  # it went away while we looked
    except OSError as error:
        raise WorktreeUnreadable(name, error.strerror or "unreadable") from error
    finally:
        os.close(parent)


def _open_parent(root: int, name: str) -> tuple[int, str]:
    *folders, last = name.split("/")
    current = os.dup(root)
    for folder in folders:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            below = os.open(folder, flags, dir_fd=current)
        finally:
            os.close(current)
        current = below
    return current, last


def _copy_bytes(stream: IO[bytes], parent: int, last: str, name: str) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(last, flags, dir_fd=parent), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _WHOLE_BYTES:
            content = file.read()
            stream.write(b"data %d\n" % len(content) + content + b"\n")
            return
        stream.write(b"data %d\n" % size)
        while size > 0:
            chunk = file.read(min(size, 1 << 20))
            if not chunk:
                raise WorktreeUnreadable(name, "it changes while it is read")
            stream.write(chunk)
            size -= len(chunk)
        stream.write(b"\n")


def reveal_nested(path: Path) -> None:
    """Give nested repositories of a restored snapshot their `.git` back."""
    for directory, names, files in os.walk(path, topdown=False):
        if EMPTY in files:
            (Path(directory) / EMPTY).unlink()
        if HIDDEN_GIT in names or HIDDEN_GIT in files:
            (Path(directory) / HIDDEN_GIT).rename(Path(directory) / ".git")
