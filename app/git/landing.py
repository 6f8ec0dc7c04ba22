"""Landing: objects to the human's repository, a compare-and-swap of the base, checkouts follow."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from app.errors import BaseMoved, GitError, RepositoryBusy
from app.git.clones import Clones, locked
from app.git.names import path_text, require_ref
from app.git.repositories import is_dirty
from app.git.run import OID, open_repository, require_oid, run_git


class Followed(msgspec.Struct, frozen=True):
    """These checkouts of the base moved along."""

    paths: tuple[Path, ...]


class DirtyCheckout(msgspec.Struct, frozen=True):
    """This checkout of the base was left alone; `command` brings it along, keeping its changes."""

    path: Path
    why: str
    command: str


class NotCheckedOut(msgspec.Struct, frozen=True):
    """The base is checked out nowhere: nothing to do."""


Following = Followed | DirtyCheckout | NotCheckedOut


class Checkout(msgspec.Struct, frozen=True):
    """A place where the human has a branch checked out."""

    path: Path
    is_clean: bool


def land(clones: Clones, ref: str, new: str, old: str) -> None:
    """Put `new` on the human's `ref` if that is still at `old`; BaseMoved if not. Repeatable."""
    require_ref(ref)
    require_oid(new)
    require_oid(old)
    with locked(clones):
        now = human_ref(clones.human, ref)
        if now == new:
            return
        if now != old:
            raise BaseMoved(ref, old, now or "")
        _bring_objects(clones, new)
        try:
            run_git(
                [
                    *("update-ref", "--no-deref", "-m", "quarterdeck: merge"),
                    *("--end-of-options", ref, new, old),
                ],
                cwd=clones.human,
                human=True,
            )
        except GitError as error:
            now = human_ref(clones.human, ref)
            if now == old and ".lock': File exists" in error.detail:
                raise RepositoryBusy(
                    f"Another git command holds {ref} in {clones.human}: try again, and if none is "
                    f"running there, delete its .lock file."
                ) from error
            if now == old:
                raise
            raise BaseMoved(ref, old, now or "") from None


def _bring_objects(clones: Clones, new: str) -> None:
    run_git(
        [
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            *("--no-recurse-submodules", "--end-of-options", str(clones.gate), new),
        ],
        cwd=clones.human,
        human=True,
        timeout_seconds=600,
    )


def human_ref(human: Path, ref: str) -> str | None:
    """Where the human's branch is now, or None."""
    done = run_git(
        ["rev-parse", "--verify", "--quiet", "--end-of-options", require_ref(ref)],
        cwd=human,
        human=True,
        accept=(0, 1, 128),
    )
    return done.text if done.returncode == 0 else None


def human_now(human: Path, ref: str) -> str:
    """Where the human's branch is at this moment, "" if it is gone; no process where files tell."""
    from git import SymbolicReference

    with open_repository(human, human=True) as repository, suppress(ValueError):
        sha = SymbolicReference.dereference_recursive(repository, require_ref(ref))
        if sha and OID.fullmatch(sha):
            return sha
    return human_ref(human, ref) or ""


def landed(human: Path, ref: str, sha: str) -> bool:
    """Whether the human's branch holds this commit: did a landing that crashed happen?"""
    done = run_git(
        ["merge-base", "--is-ancestor", require_oid(sha), require_ref(ref)],
        cwd=human,
        human=True,
        accept=(0, 1, 128),  # 128: the commit never got there, or the branch is gone
    )
    return done.returncode == 0


def checkouts(human: Path, ref: str) -> tuple[Checkout, ...]:
    """Where the branch is checked out: the human's main checkout and their linked worktrees."""
    paths = _checkout_paths(human, ref)
    return tuple(Checkout(path, not is_dirty(path)) for path in paths)


def _checkout_paths(human: Path, ref: str) -> tuple[Path, ...]:
    done = run_git(["worktree", "list", "--porcelain", "-z"], cwd=human, human=True)
    found = []
    for record in os.fsdecode(done.stdout).split("\0\0"):
        fields = dict(field.partition(" ")[::2] for field in record.split("\0") if field)
        if fields.get("branch") == require_ref(ref) and Path(fields["worktree"]).is_dir():
            found.append(Path(fields["worktree"]))
    return tuple(found)


def follow_checkout(human: Path, ref: str, old: str, new: str) -> Following:
    """Move clean checkouts of the landed branch from `old` to `new`; dirty ones stay untouched.

    Repeatable after a crash: a checkout that is there already counts as followed.
    """
    paths = _checkout_paths(human, ref)
    if not paths or human_ref(human, ref) != new:
        return NotCheckedOut()
    for path in paths:
        why = _follow(path, require_oid(old), require_oid(new))
        if why is not None:
            command = f"git -C '{path}' read-tree -m -u {old} {new}"
            return DirtyCheckout(path, why, command)
    return Followed(paths)


def _follow(path: Path, old: str, new: str) -> str | None:
    run_git(["update-index", "-q", "--refresh"], cwd=path, human=True, accept=(0, 1, 128))
    if _index_is(path, new):
        return None
    why = _why_dirty(path, old)
    if why is not None:
        return why
    try:
        run_git(["read-tree", "-m", "-u", old, new], cwd=path, human=True)
    except GitError as error:  # an untracked file in the way: git refuses before it writes
        return error.message
    return None


def _index_is(path: Path, commit: str) -> bool:
    args = ["diff-index", "--cached", "--quiet", "--ignore-submodules=none", commit, "--"]
    return run_git(args, cwd=path, human=True, accept=(0, 1)).returncode == 0


def _why_dirty(path: Path, commit: str) -> str | None:
    git_directory = run_git(["rev-parse", "--absolute-git-dir"], cwd=path, human=True)
    inside = Path(os.fsdecode(git_directory.stdout).rstrip("\n"))
    for name in ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"):
        if (inside / name).exists():
            return "a merge or rebase is going on there"
    if (inside / "index.lock").exists():
        return "another git command is running there"
    if not _index_is(path, commit):
        return "it has staged changes"
    done = run_git(
        ["diff-files", "--name-only", "-z", "--ignore-submodules=all"], cwd=path, human=True
    )
    if not done.stdout:
        return None
    first = path_text(done.stdout.split(b"\0")[0])
    return f"it has uncommitted changes ({first})"
