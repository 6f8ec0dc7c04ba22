"""The two clones: made once, kept in step, no copy, nothing of the agents' lost."""

import os
import shutil
from pathlib import Path

import pytest

from app.errors import RepositoryRefused
from app.git.clones import Clones, agent_refs, refs
from app.git.cloning import prepare, recover, sync
from app.git.gate import base_sha, fetch_branch
from app.git.snapshots import Worktree
from tests.app.git.shell import agent_commits, agent_git, human_commits, plain_git


def test_it_links_objects_and_is_idempotent(human: Path, tmp_path: Path) -> None:
    clones = prepare(human, tmp_path / "fresh")
    assert prepare(human, tmp_path / "fresh") == clones
    for git_dir in (clones.work, clones.gate):
        files = list(git_dir.glob("objects/??/*"))
        assert files
        assert all(path.stat().st_nlink >= 3 for path in files)
    plain_git(human, "gc", "-q", "--prune=now")  # the human's housekeeping takes nothing from us
    for git_dir in (clones.work, clones.gate):
        plain_git(git_dir, "fsck", "--strict")
    assert refs(clones.gate, "refs/heads/") == {}


def test_it_goes_on_after_a_cut_short_clone(human: Path, clones: Clones) -> None:
    shutil.rmtree(clones.work)
    (clones.directory / "work.git.new" / "objects").mkdir(parents=True)
    prepare(human, clones.directory)
    assert plain_git(clones.work, "rev-parse", "main") == plain_git(human, "rev-parse", "main")


def test_it_follows_the_humans_branches_and_tags(human: Path, clones: Clones) -> None:
    plain_git(human, "branch", "deep")
    new = human_commits(human, {"n.txt": "n"})
    plain_git(human, "tag", "-a", "v1", "-m", "one")
    assert sync(clones)["main"] == new
    assert plain_git(clones.work, "describe", "main") == "v1"
    plain_git(human, "branch", "-D", "deep")
    plain_git(human, "branch", "deep/er")  # where a branch stood is now a folder of them
    plain_git(human, "reset", "-q", "--hard", "HEAD~1")
    heads = sync(clones)
    assert set(heads) == {"main", "deep/er"}
    assert plain_git(clones.work, "rev-parse", "main") == heads["main"]
    assert sync(clones) == heads
    for git_dir in (clones.work, clones.gate):
        plain_git(git_dir, "fsck", "--strict")


def test_it_never_touches_agents_branches(human: Path, clones: Clones, worktree: Worktree) -> None:
    sha = agent_commits(clones, worktree, {"a": "a"})
    plain_git(human, "branch", worktree.branch)  # the human has one of that name: theirs alone
    sync(clones)
    assert agent_refs(clones, "bo") == {worktree.branch: sha}
    plain_git(human, "branch", "-D", worktree.branch)
    sync(clones)
    assert fetch_branch(clones, "bo", worktree.branch) == sha


def test_new_objects_of_the_human_reach_the_agents(
    human: Path, clones: Clones, worktree: Worktree
) -> None:
    human_commits(human, {"later.txt": "later"})
    sync(clones)
    agent_git(clones, worktree, "rebase", "-q", "main")
    assert (worktree.path / "later.txt").read_text() == "later"


def test_a_clone_that_borrows_objects_is_not_borrowed_from(human: Path, tmp_path: Path) -> None:
    plain_git(tmp_path, "clone", "-q", "--shared", str(human), "borrower")
    clones = prepare(tmp_path / "borrower", tmp_path / "state")
    shutil.rmtree(human)
    plain_git(clones.gate, "fsck", "--strict")
    plain_git(clones.work, "fsck", "--strict")


@pytest.mark.usefixtures("worktree")
def test_it_recovers_from_a_killed_git(clones: Clones) -> None:
    stale = clones.gate / "packed-refs.lock"
    fresh = clones.work / "config.lock"
    theirs = clones.admin("bo") / "index.lock"
    for path in (stale, fresh, theirs):
        path.touch()
    os.utime(stale, (0, 0))
    os.utime(theirs, (0, 0))
    assert recover(clones) == (stale,)
    assert fresh.exists()
    assert theirs.exists()  # the agent may be alive


def test_it_says_when_the_repository_is_gone(human: Path, clones: Clones) -> None:
    human.rename(human.with_name("moved"))
    with pytest.raises(RepositoryRefused, match="is gone: move it back"):
        sync(clones)
    human.mkdir()
    with pytest.raises(RepositoryRefused, match="can't be read"):
        sync(clones)
    assert base_sha(clones, "main")
