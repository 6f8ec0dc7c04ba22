"""Uncommitted work becomes a commit that the agent sees as its own."""

from datetime import UTC, datetime

import pytest

from app.errors import GitError
from app.git.clones import Clones
from app.git.diffs import blob, diff
from app.git.gate import commits, fetch_branch
from app.git.leftovers import commit_leftovers, leftovers, tree_so_far
from app.git.repositories import Identity
from app.git.snapshots import Worktree
from app.git.worktrees import verify
from tests.app.git.shell import agent_commits, agent_git, plain_git, write

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BO = Identity("Bo", "bo@agents")


def test_it_commits_what_is_left(clones: Clones, worktree: Worktree) -> None:
    head = agent_commits(clones, worktree, {"a": "a", "b": "b"})
    write(worktree.path, {"a": "changed", "new/c": "c", "x.pyc": "ignored"})
    (worktree.path / "b").unlink()
    assert leftovers(clones, worktree)
    shown = {file.path: file.status for file in diff(clones, head, tree_so_far(clones, worktree))}
    assert shown == {"a": "modified", "b": "deleted", "new/c": "added"}
    sha = commit_leftovers(clones, worktree, "Leftovers", BO, AT)
    assert sha is not None
    assert agent_git(clones, worktree, "rev-parse", "HEAD", "HEAD^").split() == [sha, head]
    assert agent_git(clones, worktree, "status", "--porcelain") == ""
    assert fetch_branch(clones, "bo", worktree.branch) == sha
    assert commits(clones, head, sha)[0].author == "Bo"
    assert not leftovers(clones, worktree)
    assert commit_leftovers(clones, worktree, "Leftovers", BO, AT) is None
    agent_commits(clones, worktree, {"after": "after"})  # the agent goes on from there
    assert verify(clones, "bo")
    plain_git(clones.gate, "fsck", "--strict")


def test_touched_files_are_no_leftovers(clones: Clones, worktree: Worktree) -> None:
    (worktree.path / "README.md").touch()
    assert not leftovers(clones, worktree)
    assert commit_leftovers(clones, worktree, "x", BO, AT) is None


def test_it_commits_what_git_add_would(clones: Clones, worktree: Worktree) -> None:
    write(worktree.path, {".gitattributes": "* text=auto\n", "kind": "file", "dir/x": "x"})
    agent_git(clones, worktree, "add", "-A")
    agent_git(clones, worktree, "commit", "-qm", "kinds")
    path = worktree.path
    (path / "dos").write_bytes(b"a\r\nb\r\n")
    (path / "kind").unlink()
    (path / "kind").symlink_to("dos")
    (path / "dir" / "x").unlink()
    (path / "dir").rmdir()
    (path / "dir").write_text("a file now")
    (path / "run.sh").chmod(0o644)
    (path / 'odd\nna"me').write_text("odd")
    tree = tree_so_far(clones, worktree)
    agent_git(clones, worktree, "add", "-A")
    assert agent_git(clones, worktree, "write-tree") == tree


def test_a_nested_repository_is_no_commit(clones: Clones, worktree: Worktree) -> None:
    plain_git(worktree.path, "init", "-q", "inner")
    write(worktree.path, {"inner/file": "f"})
    assert leftovers(clones, worktree)
    assert commit_leftovers(clones, worktree, "x", BO, AT) is None  # a snapshot keeps it


def test_it_refuses_off_the_branch(clones: Clones, worktree: Worktree) -> None:
    agent_git(clones, worktree, "checkout", "-q", "--detach")
    write(worktree.path, {"a": "a"})
    with pytest.raises(GitError, match="not on qd/bo/first-task any more"):
        commit_leftovers(clones, worktree, "x", BO, AT)
    assert leftovers(clones, worktree)


def test_a_merge_in_progress_keeps_its_markers(clones: Clones, worktree: Worktree) -> None:
    agent_commits(clones, worktree, {"README.md": "mine\n"})
    agent_git(clones, worktree, "checkout", "-q", "-b", "qd/bo/side", "HEAD~1")
    agent_commits(clones, worktree, {"README.md": "theirs\n"})
    agent_git(clones, worktree, "checkout", "-q", worktree.branch)
    agent_git(clones, worktree, "merge", "qd/bo/side", ok=False)
    sha = commit_leftovers(clones, worktree, "x", BO, AT)
    assert sha is not None
    assert b"<<<<<<<" in blob(clones, sha, "README.md").content
