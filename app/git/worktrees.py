"""Agents' worktrees: claimed, switched, recycled, removed, restored; what a sandbox needs of them.

A worktree is linked from work.git by files that we write ourselves, so no git command ever runs
under an agent's configuration. Whatever was in a worktree is in a snapshot before it is reused.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.errors import BranchExists, BranchVanished, GitError
from app.git.clones import (
    BRANCHES,
    COPIED,
    Clones,
    agent_refs,
    copy_objects,
    locked,
    move_agent_ref,
    place,
    quoted_path,
    refs,
    resolve,
    update_refs,
)
from app.git.gate import fetch_branch
from app.git.names import require_branch, require_name, require_path
from app.git.run import ZERO, require_oid, run_git
from app.git.snapshots import (
    Snapshot,
    Worktree,
    agent_head,
    described,
    reveal_nested,
    take_snapshot,
)
from app.git.tree import check_out, load, remove_tree

DELETED = "refs/quarterdeck/deleted/"  # in gate.git: branches that were deleted, for the undo


class SandboxPaths(msgspec.Struct, frozen=True):
    """What a session's sandbox binds so that git works in the worktree and harms no other's."""

    read_write: tuple[Path, ...]
    read_only: tuple[Path, ...]
    env: dict[str, str]


def branches(clones: Clones, agent: str) -> frozenset[str]:
    """Names that are taken: the agent's branches, and those gate.git remembers."""
    prefix = f"{BRANCHES}{require_name(agent)}/"
    kept = {f"qd/{agent}/{ref.removeprefix(prefix)}" for ref in refs(clones.gate, prefix)}
    return frozenset(agent_refs(clones, agent)) | kept


def claim(
    clones: Clones,
    agent: str,
    branch: str,
    base_sha: str,
    root: Path,
    keep_ignored: Sequence[str] = (),
) -> Worktree:
    """A worktree at `root/<agent>` on a new branch from `base_sha`; a used one is recycled.

    What a used one held is snapshotted first, ignored files that match `keep_ignored` too.
    BranchExists, BranchVanished (the base is gone).
    """
    require_branch(agent, branch)
    worktree = Worktree(agent, branch, require_oid(base_sha), root / agent)
    with locked(clones):
        if resolve(clones.gate, base_sha) is None:
            raise BranchVanished(base_sha)
        _make_directories(clones, agent)
        present = agent_refs(clones, agent).get(branch)
        # at the very base: our own claim that was cut short, so it goes on
        if present not in (None, base_sha) or (present is None and _remembered(clones, branch)):
            raise BranchExists(branch)
        _recycle(clones, worktree, base_sha, keep_ignored)
        if present is None:
            move_agent_ref(clones, agent, branch, base_sha, ZERO)
        _link(clones, worktree)
    return worktree


def switch(
    clones: Clones, worktree: Worktree, branch: str, keep_ignored: Sequence[str] = ()
) -> Worktree:
    """The same worktree on another, existing branch of its agent (or on its own, untouched)."""
    require_branch(worktree.agent, branch)
    target = msgspec.structs.replace(worktree, branch=branch)
    with locked(clones):
        _make_directories(clones, worktree.agent)
        on, _ = agent_head(clones, worktree)
        if on == branch and not problem(clones, worktree):
            return target
        sha = fetch_branch(clones, worktree.agent, branch)
        _recycle(clones, target, sha, keep_ignored)
        _link(clones, target)
    return target


def _remembered(clones: Clones, branch: str) -> bool:
    return resolve(clones.gate, BRANCHES + branch.removeprefix("qd/")) is not None


def _recycle(clones: Clones, worktree: Worktree, commit: str, keep_ignored: Sequence[str]) -> None:
    if worktree.path.is_symlink() or (worktree.path.exists() and not worktree.path.is_dir()):
        raise GitError(f"{worktree.path} is not a directory: move it away, then try again.")
    if worktree.path.is_dir() and any(worktree.path.iterdir()):
        take_snapshot(clones, worktree, "recycled", keep_ignored)
    dot_git = worktree.path / ".git"
    if dot_git.is_dir():
        remove_tree(dot_git)
    check_out(clones, worktree.agent, worktree.path, commit)


def _make_directories(clones: Clones, agent: str) -> None:
    objects = clones.objects(agent)
    for directory in (clones.heads(agent), clones.logs(agent), objects / "pack", objects / "info"):
        directory.mkdir(parents=True, exist_ok=True)


def _link(clones: Clones, worktree: Worktree) -> None:
    """Write what `git worktree add` would: the `.git` file and its directory in work.git."""
    admin = clones.admin(worktree.agent)
    remove_tree(admin)
    admin.mkdir(parents=True)
    (admin / "HEAD").write_text(f"ref: refs/heads/{worktree.branch}\n")
    (admin / "commondir").write_text("../..\n")
    (admin / "gitdir").write_bytes(os.fsencode(worktree.path / ".git") + b"\n")
    shutil.copyfile(clones.index(worktree.agent), admin / "index")
    (admin / "logs").mkdir()
    place(worktree.path / ".git", b"gitdir: " + os.fsencode(admin) + b"\n", worktree.path)


def sandbox_paths(clones: Clones, worktree: Worktree) -> SandboxPaths:
    """What to bind and to set so that commits work and other agents' data can't be reached.

    Bind `read_only` over what hides the state directory, then `read_write` over that.
    """
    agent = worktree.agent
    own = clones.objects(agent)
    return SandboxPaths(
        read_write=(
            *(worktree.path, clones.admin(agent), clones.heads(agent), clones.logs(agent)),
            own,
        ),
        read_only=(clones.work,),
        env={
            "GIT_OBJECT_DIRECTORY": str(own),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted_path(clones.work / "objects"),
        },
    )


def copy_files(clones: Clones, worktree: Worktree, patterns: Sequence[str]) -> tuple[str, ...]:
    """Copy the human's untracked files that match (`.env`, `config/*.local`); returns what was.

    They are excluded from commits, and never overwrite a file of the branch.
    """
    copied = []
    for pattern in patterns:
        require_path(pattern)
        for source in sorted(clones.human.glob(pattern)):
            name = source.relative_to(clones.human).as_posix()
            target = worktree.path / name
            if name.split("/")[0] == ".git" or source.is_symlink() or not source.is_file():
                continue
            inside = target.parent.resolve().is_relative_to(worktree.path.resolve())
            if not inside or os.path.lexists(target):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
            copied.append(name)
    with locked(clones):
        for git_dir in (clones.work, clones.gate):
            _exclude(git_dir / "info" / "exclude", copied)
    return tuple(copied)


def _exclude(path: Path, names: Sequence[str]) -> None:
    text = path.read_text() if path.exists() else ""
    known = set(text.splitlines())
    lines = ["/" + "".join("\\" + c if c in "*?[]\\ " else c for c in name) for name in names]
    fresh = [line for line in lines if line not in known]
    if fresh:
        place(path, "\n".join([*text.splitlines(), *fresh, ""]).encode(), path.parent)


def remove(clones: Clones, worktree: Worktree, keep_ignored: Sequence[str] = ()) -> Snapshot:
    """Delete a worktree once a snapshot holds all of it; the snapshot is the undo (`restore`).

    Its branches stay. A worktree deleted by hand gives a snapshot of its last commit.
    """
    with locked(clones):
        _make_directories(clones, worktree.agent)
        kept = take_snapshot(clones, worktree, "removed", keep_ignored, always=True)
        assert kept is not None
        remove_tree(worktree.path)
        remove_tree(clones.admin(worktree.agent))
        clones.index(worktree.agent).unlink(missing_ok=True)
    return kept


def restore(clones: Clones, snapshot_sha: str, root: Path) -> Worktree:
    """Bring a snapshot back: its branch as it stood, its other files uncommitted.

    Where that branch has gone on since, on a branch of its own beside it (`…-restored-<id>`).
    """
    told = described(clones, snapshot_sha)
    with locked(clones):
        _make_directories(clones, told.agent)
        heads, branch = agent_refs(clones, told.agent), told.branch
        if heads.get(branch, told.head_sha) != told.head_sha:
            branch = f"{branch}-restored-{snapshot_sha[:8]}"
        worktree = Worktree(told.agent, branch, told.base_sha, root / told.agent)
        _recycle(clones, worktree, snapshot_sha, ())
        reveal_nested(worktree.path)
        load(clones, told.agent, worktree.path, told.head_sha)
        if branch not in heads:
            copy_objects(clones, [told.head_sha], refs(clones.gate, COPIED).values())
            move_agent_ref(clones, told.agent, branch, told.head_sha, ZERO)
        _link(clones, worktree)
    return worktree


def delete_branch(clones: Clones, agent: str, branch: str) -> str:
    """Delete an agent's branch; gate.git keeps it below `DELETED`. Returns its last id."""
    name = require_branch(agent, branch)
    with locked(clones):
        sha = fetch_branch(clones, agent, branch)
        if agent_head(clones, Worktree(agent, branch, sha, Path("/")))[0] == branch:
            raise BranchExists(branch)  # a worktree stands on it: remove that first
        kept = (f"{DELETED}{agent}/{name}/{sha}", sha, None)
        update_refs(clones.gate, [kept, (f"{BRANCHES}{agent}/{name}", ZERO, None)])
        update_refs(clones.work, [(f"refs/heads/{branch}", ZERO, None)])
    return sha


def problem(clones: Clones, worktree: Worktree) -> str:
    """What became of a worktree that was deleted, moved or cut off; "" if it is well."""
    if not worktree.path.is_dir():
        return (
            f"The worktree {worktree.path} was deleted or moved. Its commits are safe on "
            f"{worktree.branch}: start the session again to get it back."
        )
    admin = clones.admin(worktree.agent)
    link = worktree.path / ".git"
    if not link.is_file() or link.read_bytes()[:4096] != b"gitdir: " + os.fsencode(admin) + b"\n":
        return (
            f"The worktree {worktree.path} was cut off from its repository. Its files are kept by "
            f"a snapshot when the session is started again on {worktree.branch}."
        )
    return ""


def reap_locks(clones: Clones, agent: str) -> tuple[Path, ...]:
    """Delete the `*.lock` files a killed session left. Only when no process of the agent lives."""
    found = []
    with locked(clones):
        for directory in (clones.admin(agent), clones.heads(agent), clones.logs(agent)):
            found += [path for path in directory.glob("*.lock") if not path.is_dir()]
        for path in found:
            path.unlink(missing_ok=True)
    return tuple(found)


def prune(clones: Clones) -> tuple[str, ...]:
    """Forget worktrees that were deleted by hand, not their branches. Returns agents' names."""
    gone = []
    with locked(clones):
        for admin in sorted((clones.work / "worktrees").iterdir()):
            pointer = admin / "gitdir"
            path = (
                Path(os.fsdecode(pointer.read_bytes()).rstrip("\n")) if pointer.is_file() else None
            )
            if path is None or not path.parent.is_dir():
                remove_tree(admin)
                gone.append(admin.name)
    return tuple(gone)


def verify(clones: Clones, agent: str) -> bool:
    """Whether every commit of the agent's branches is whole (what a human asks after a crash)."""
    done = run_git(
        ["rev-list", "--objects", "--quiet", "--stdin"],
        git_dir=clones.gate,
        env={"GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted_path(clones.objects(agent))},
        stdin="".join(f"{sha}\n" for sha in agent_refs(clones, agent).values()).encode(),
        accept=(0, 1, 128),
        timeout_seconds=600,
    )
    return done.returncode == 0
