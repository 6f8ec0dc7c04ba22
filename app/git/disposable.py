"""A merged tree on disk for checks: a fresh folder with a small git repository of its own.

The repository holds that one commit (as a shallow clone would) and knows no other place, so a check
command that asks git works, and nothing it does reaches the clones.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from app.errors import GitError
from app.git.box import Box
from app.git.clones import Clones
from app.git.merging import commit_tree
from app.git.repositories import QUARTERDECK
from app.git.run import require_oid, run_git

_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n[gc]\n\tauto = 0\n"


def materialise(clones: Clones, commit_or_tree: str, destination: Path) -> str:
    """Write a commit (or a tree, wrapped into a commit) to a folder that must not exist; its id."""
    commit = _as_commit(clones, commit_or_tree)
    git_dir = destination / ".git"
    destination.mkdir(parents=True, mode=0o700)
    for name in ("objects/pack", "objects/info", "refs/heads", "info"):
        (git_dir / name).mkdir(parents=True)
    (git_dir / "config").write_text(_CONFIG)
    (git_dir / "HEAD").write_text("ref: refs/heads/check\n")
    (git_dir / "shallow").write_text(commit + "\n")
    _copy_commit(clones, commit, git_dir)
    (git_dir / "refs/heads/check").write_text(commit + "\n")
    run_git(
        ["read-tree", "--reset", "-u", commit],
        git_dir=git_dir,
        cwd=destination,
        env={"GIT_WORK_TREE": str(destination)},
        timeout_seconds=600,
        box=Box((destination,), ()),
    )
    return commit


def _as_commit(clones: Clones, oid: str) -> str:
    kind = run_git(["cat-file", "-t", require_oid(oid)], git_dir=clones.gate).text
    if kind == "commit":
        return oid
    if kind != "tree":
        raise GitError(f"{oid[:12]} is neither a commit nor a tree.")
    at = datetime.fromtimestamp(0, UTC)
    return commit_tree(clones, oid, (), "The tree under check", QUARTERDECK, at)


def _copy_commit(clones: Clones, commit: str, git_dir: Path) -> None:
    listed = run_git(
        ["rev-list", "--objects", "--no-walk", "--no-object-names", commit], git_dir=clones.gate
    )
    with tempfile.TemporaryFile(dir=clones.directory) as pack:
        run_git(
            ["pack-objects", "--stdout", "--quiet", "--delta-base-offset", "--window=0"],
            git_dir=clones.gate,
            stdin=listed.stdout,
            stdout=pack,
            timeout_seconds=600,
        )
        pack.seek(0)
        run_git(["index-pack", "--stdin"], git_dir=git_dir, stdin=pack, timeout_seconds=600)
