"""A merged tree on disk for checks."""

from pathlib import Path

import pytest

from app.errors import GitError
from app.git.clones import Clones
from app.git.disposable import materialise
from app.git.gate import fetch_branch
from app.git.merging import tree_of
from app.git.snapshots import Worktree
from app.git.tree import remove_tree
from tests.app.git.shell import agent_commits, plain_git, write


def test_it_writes_a_commit_with_a_git_of_its_own(
    clones: Clones, worktree: Worktree, tmp_path: Path
) -> None:
    agent_commits(clones, worktree, {"a b/ü": "x", ".gitattributes": "* text eol=crlf\n"})
    head = fetch_branch(clones, "bo", worktree.branch)
    place = tmp_path / "checks" / "one"
    assert materialise(clones, head, place) == head
    assert (place / "a b" / "ü").read_bytes() == b"x"
    assert plain_git(place, "status", "--porcelain") == ""
    assert plain_git(place, "log", "--format=%H %s") == f"{head} work"
    assert not (place / ".git" / "objects" / "info" / "alternates").exists()
    write(place, {"new": "new"})
    plain_git(place, "add", "-A")
    plain_git(place, "commit", "-qm", "a check may commit")
    plain_git(place, "fsck")
    (place / "a b").chmod(0o500)
    remove_tree(place)
    assert not place.exists()
    remove_tree(place)


def test_it_wraps_a_tree(clones: Clones, base: str, tmp_path: Path) -> None:
    tree = tree_of(clones, base)
    commit = materialise(clones, tree, tmp_path / "check")
    assert plain_git(tmp_path / "check", "rev-parse", "HEAD^{tree}") == tree
    assert materialise(clones, tree, tmp_path / "again") == commit


def test_it_takes_no_folder_that_is_there(clones: Clones, base: str, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        materialise(clones, base, tmp_path)
    blob = plain_git(clones.gate, "rev-parse", f"{base}:README.md")
    with pytest.raises(GitError, match="neither a commit nor a tree"):
        materialise(clones, blob, tmp_path / "x")
