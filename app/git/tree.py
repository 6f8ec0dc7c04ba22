"""Files of a worktree against a commit, through our own index and gate.git's configuration.

The agent's `.git`, index, hooks, configuration and nested repositories are never asked: git runs
with gate.git as its directory, our index beside it, and the worktree as plain files, in a box.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.errors import GitError
from app.git.box import Box
from app.git.clones import Clones
from app.git.run import Completed, require_oid, run_git


class Changes(msgspec.Struct, frozen=True):
    """How files differ from the index: paths relative to the worktree."""

    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()  # directories that are repositories of their own

    def __bool__(self) -> bool:
        return bool(self.changed or self.deleted or self.untracked or self.nested)


def in_tree(
    clones: Clones,
    agent: str,
    path: Path,
    args: Sequence[str],
    *,
    writes: Sequence[Path] = (),
    stdin: bytes = b"",
    timeout_seconds: float = 600.0,
) -> Completed:
    """Run git on the worktree's files; only our index and `writes` can be written."""
    index = clones.index(agent)
    return run_git(
        args,
        git_dir=clones.gate,
        cwd=path,
        env={"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(path)},
        stdin=stdin,
        timeout_seconds=timeout_seconds,
        box=Box((index.parent, *writes), (clones.gate, path)),
    )


def check_out(clones: Clones, agent: str, path: Path, commit: str) -> None:
    """Make the directory hold exactly this commit: nothing of what was there stays."""
    clear_lock(clones, agent)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not any(path.iterdir()):  # a fresh directory: what our index remembers is not there
        clones.index(agent).unlink(missing_ok=True)
    reset = ["read-tree", "--reset", "-u", require_oid(commit)]
    clean = ["clean", "-ffdxq"]
    try:
        in_tree(clones, agent, path, reset, writes=[path])
        in_tree(clones, agent, path, clean, writes=[path])
    except GitError:
        make_writable(path)  # directories without the write bit can't be emptied
        clones.index(agent).unlink(missing_ok=True)
        in_tree(clones, agent, path, reset, writes=[path])
        in_tree(clones, agent, path, clean, writes=[path])


def clear_lock(clones: Clones, agent: str) -> None:
    """Remove the lock of our own index; the caller holds the repository, so it is a dead one's."""
    index = clones.index(agent)
    index.with_name(index.name + ".lock").unlink(missing_ok=True)


def load(clones: Clones, agent: str, path: Path, commit: str) -> None:
    """Point our index at a commit, keeping what it knows of files that did not change."""
    clear_lock(clones, agent)
    args = ["read-tree", "--reset", require_oid(commit)]
    try:
        in_tree(clones, agent, path, args)
    except GitError:  # a broken index is only a cache
        clones.index(agent).unlink(missing_ok=True)
        in_tree(clones, agent, path, args)


def changes(
    clones: Clones, agent: str, path: Path, commit: str, *, refresh: bool, also: Sequence[str] = ()
) -> Changes:
    """How the files differ from a commit.

    `refresh` compares contents as `git add` would (line endings converted); without it a file that
    was written again counts as changed. `also` are ignore patterns of ignored files to include.
    """
    load(clones, agent, path, commit)
    if refresh:
        in_tree(clones, agent, path, ["update-index", "-q", "--really-refresh", "--ignore-missing"])
    listed = in_tree(
        clones,
        agent,
        path,
        ["diff-files", "--name-status", "-z", "--no-renames", "--ignore-submodules=all"],
    )
    fields = os.fsdecode(listed.stdout).split("\0")
    states = list(zip(fields[::2], fields[1::2], strict=False))
    others = _others(clones, agent, path, ["--exclude-standard"])
    if also:
        wanted = [part for pattern in also for part in ("-x", pattern)]
        others |= dict.fromkeys(_others(clones, agent, path, ["-i", *wanted]))
    nested = [name.rstrip("/") for name in others if name.endswith("/")]
    nested += [name for name in _gitlinks(clones, agent, path) if _holds_files(path / name)]
    if (path / ".git").is_dir() and not (path / ".git").is_symlink():
        nested.append(".git")  # the agent replaced the link by a repository of its own
    return Changes(
        changed=tuple(name for state, name in states if state != "D"),
        deleted=tuple(name for state, name in states if state == "D"),
        untracked=tuple(name for name in others if not name.endswith("/")),
        nested=tuple(nested),
    )


def _others(clones: Clones, agent: str, path: Path, args: Sequence[str]) -> dict[str, None]:
    done = in_tree(clones, agent, path, ["ls-files", "-o", "-z", *args])
    return dict.fromkeys(name for name in os.fsdecode(done.stdout).split("\0") if name)


def _gitlinks(clones: Clones, agent: str, path: Path) -> list[str]:
    done = in_tree(clones, agent, path, ["ls-files", "-s", "-z"])
    entries = os.fsdecode(done.stdout).split("\0")
    return [entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")]


def _holds_files(directory: Path) -> bool:
    return directory.is_dir() and not directory.is_symlink() and any(directory.iterdir())


def make_writable(path: Path) -> None:
    """Give the owner every right on the directories below, following no link."""
    for _, _, _, descriptor in os.fwalk(path):
        os.fchmod(descriptor, 0o700)
        for entry in os.scandir(descriptor):
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.name, 0o700, dir_fd=descriptor)


def remove_tree(path: Path) -> None:
    """Delete a directory with all it holds, read-only parts too; nothing happens if it is gone."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        try:
            shutil.rmtree(path)
        except PermissionError:
            make_writable(path)
            shutil.rmtree(path)
