"""Work that an agent left uncommitted: seen, shown as a tree, committed by our own git."""

import os
from datetime import datetime

from app.errors import GitError
from app.git.clones import (
    BRANCHES,
    Clones,
    copy_objects,
    locked,
    move_agent_ref,
    place,
    update_refs,
)
from app.git.merging import commit_tree, tree_of
from app.git.repositories import Identity
from app.git.run import require_oid, run_git
from app.git.snapshots import Worktree, agent_head
from app.git.tree import changes, in_tree


def leftovers(clones: Clones, worktree: Worktree) -> bool:
    """Whether the worktree holds work that is in no commit."""
    with locked(clones):
        _, head = agent_head(clones, worktree)
        return worktree.path.is_dir() and bool(
            changes(clones, worktree.agent, worktree.path, head, refresh=True)
        )


def tree_so_far(clones: Clones, worktree: Worktree) -> str:
    """The tree that committing everything now would give, written to gate.git (for diffs)."""
    with locked(clones):
        _, head = agent_head(clones, worktree)
        if not worktree.path.is_dir():
            return tree_of(clones, head)
        return _stage_all(clones, worktree, head)


def _stage_all(clones: Clones, worktree: Worktree, head: str) -> str:
    found = changes(clones, worktree.agent, worktree.path, head, refresh=True)
    names = (*found.deleted, *found.changed, *found.untracked)
    if names:
        in_tree(
            clones,
            worktree.agent,
            worktree.path,
            ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"],
            writes=[clones.gate / "objects"],
            stdin=b"".join(os.fsencode(name) + b"\0" for name in names),
        )
    done = run_git(
        ["write-tree"],
        git_dir=clones.gate,
        env={"GIT_INDEX_FILE": str(clones.index(worktree.agent))},
    )
    return require_oid(done.text)


def commit_leftovers(
    clones: Clones, worktree: Worktree, message: str, author: Identity, at: datetime
) -> str | None:
    """Commit what is uncommitted to the worktree's branch; its new id, or None if all is committed.

    As `git add -A && git commit`, but by our own git; the agent's HEAD and index see the commit.
    Only between turns. GitError where the agent left its branch: then take a snapshot.
    """
    with locked(clones):
        branch, head = agent_head(clones, worktree)
        if branch != worktree.branch:
            raise GitError(
                f"The worktree of {worktree.agent} is not on {worktree.branch} any more: "
                "its files can be kept by a snapshot, not by a commit."
            )
        if not worktree.path.is_dir():
            return None
        tree = _stage_all(clones, worktree, head)
        if tree == tree_of(clones, head):
            return None
        sha = commit_tree(clones, tree, (head,), message, author, at)
        update_refs(clones.gate, [(BRANCHES + branch.removeprefix("qd/"), sha, head)])
        copy_objects(clones, [sha], [head])
        move_agent_ref(clones, worktree.agent, branch, sha, head)
        index = clones.index(worktree.agent).read_bytes()
        place(clones.admin(worktree.agent) / "index", index, clones.directory)
        return sha
