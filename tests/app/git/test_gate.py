"""Reading in gate.git."""

from datetime import UTC
from pathlib import Path

import pytest

from app.errors import BranchVanished, GitError
from app.git.clones import Clones, refs
from app.git.gate import base_sha, commits, fetch_branch, is_ancestor, merge_base
from app.git.snapshots import Worktree
from tests.app.git.shell import agent_commits, agent_git, plain_git


def test_it_fetches_a_branch_and_only_that(clones: Clones, worktree: Worktree) -> None:
    sha = agent_commits(clones, worktree, {"a": "a"})
    agent_git(clones, worktree, "tag", "mine")
    assert fetch_branch(clones, "bo", worktree.branch) == sha
    assert refs(clones.gate, "refs/quarterdeck/branches/") == {
        "refs/quarterdeck/branches/bo/first-task": sha
    }
    assert refs(clones.gate, "refs/tags/") == {}
    plain_git(clones.gate, "fsck", "--strict")


@pytest.mark.usefixtures("worktree")
def test_it_says_when_branch_or_base_is_gone(clones: Clones) -> None:
    with pytest.raises(BranchVanished, match="qd/bo/none is no longer in the repository"):
        fetch_branch(clones, "bo", "qd/bo/none")
    with pytest.raises(BranchVanished):
        base_sha(clones, "none")


def test_the_base_is_read_from_loose_and_packed_refs(human: Path, clones: Clones) -> None:
    assert base_sha(clones, "main") == plain_git(human, "rev-parse", "main")
    plain_git(clones.gate, "pack-refs", "--all")
    assert base_sha(clones, "main") == plain_git(human, "rev-parse", "main")


def test_it_refuses_trees_that_would_write_git_data(clones: Clones, worktree: Worktree) -> None:
    blob = agent_git(clones, worktree, "rev-parse", "HEAD:README.md")
    (worktree.path / "listing").write_text(f"100644 blob {blob}\t.git\n")
    listing = worktree.path / "listing"
    script = f"mktree < '{listing}'"
    tree = agent_git(clones, worktree, "-c", f"alias.mk=!git {script}", "mk")
    bad = agent_git(clones, worktree, "commit-tree", "-m", "bad", tree)
    agent_git(clones, worktree, "update-ref", f"refs/heads/{worktree.branch}", bad)
    with pytest.raises(GitError, match="failed") as caught:
        fetch_branch(clones, "bo", worktree.branch)
    assert "hasDotgit" in caught.value.detail


def test_it_lists_commits_with_hostile_text_as_text(
    clones: Clones, worktree: Worktree, base: str
) -> None:
    first = agent_commits(clones, worktree, {"a": "a"}, "<b>one</b>\n\nbody\nof it")
    (worktree.path / "message").write_bytes(b"tw\xffo\n")
    agent_git(clones, worktree, "commit", "-q", "--allow-empty", "-F", "message")
    second = fetch_branch(clones, "bo", worktree.branch)
    found = commits(clones, base, second)
    assert [commit.sha for commit in found] == [second, first]
    assert (found[1].subject, found[1].body) == ("<b>one</b>", "body\nof it")
    assert found[0].subject.startswith("tw")
    assert (found[1].author, found[1].email) == ("bo", "bo@agents")
    assert found[1].at.tzinfo is UTC
    assert found[1].parents == (base,)
    assert commits(clones, base, second, limit=1) == found[:1]
    assert commits(clones, base, base) == ()


def test_it_answers_ancestry(clones: Clones, worktree: Worktree, base: str) -> None:
    sha = agent_commits(clones, worktree, {"a": "a"})
    agent_git(clones, worktree, "checkout", "-q", "--orphan", "qd/bo/orphan")
    agent_git(clones, worktree, "commit", "-qm", "orphan")
    fetch_branch(clones, "bo", worktree.branch)
    orphan = fetch_branch(clones, "bo", "qd/bo/orphan")
    assert is_ancestor(clones, base, sha)
    assert is_ancestor(clones, sha, sha)
    assert not is_ancestor(clones, sha, base)
    assert merge_base(clones, base, sha) == base
    assert merge_base(clones, orphan, sha) is None
    with pytest.raises(GitError):
        is_ancestor(clones, "main", sha)
