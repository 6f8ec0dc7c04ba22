"""The base moves once, by compare-and-swap; checkouts follow or are left alone."""

import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import BaseMoved, BranchRefused, RepositoryBusy
from app.git.clones import Clones
from app.git.cloning import sync
from app.git.landing import (
    DirtyCheckout,
    Followed,
    NotCheckedOut,
    checkouts,
    follow_checkout,
    human_ref,
    land,
    landed,
)
from app.git.merging import commit_tree, merge_commit
from app.git.repositories import Identity
from app.git.snapshots import Worktree
from tests.app.git.shell import MAIN, agent_commits, human_commits, plain_git, write

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WHO = Identity("Ada", "ada@example.org")


@pytest.fixture
def merge(clones: Clones, worktree: Worktree, base: str) -> str:
    """A merge commit in gate.git that edits a file, adds one and deletes one."""
    from app.git.gate import fetch_branch

    (worktree.path / "run.sh").unlink()
    agent_commits(clones, worktree, {"README.md": "new\n", "added.txt": "added\n"})
    head = fetch_branch(clones, "bo", worktree.branch)
    return merge_commit(clones, base, head, "Merge", WHO, AT)


def status(path: Path) -> str:
    return plain_git(path, "status", "--porcelain")


def test_it_lands_once_and_the_checkout_follows(
    clones: Clones, human: Path, base: str, merge: str
) -> None:
    hook = human / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-checkout", "post-merge", "post-index-change"):
        path = hook.with_name(name)
        path.write_text(f"#!/bin/sh\ntouch {human}/../hook-ran\n")
        path.chmod(0o755)
    assert not landed(human, MAIN, merge)
    land(clones, MAIN, merge, base)
    assert landed(human, MAIN, merge)
    land(clones, MAIN, merge, base)  # again after a crash: nothing happens
    assert follow_checkout(human, MAIN, base, merge) == Followed((human,))
    assert (human / "added.txt").read_text() == "added\n"
    assert not (human / "run.sh").exists()
    assert follow_checkout(human, MAIN, base, merge) == Followed((human,))
    assert not (human.parent / "hook-ran").exists()
    assert status(human) == ""
    assert plain_git(human, "reflog", "-1", "--format=%gs", "main") == "quarterdeck: merge"
    assert sync(clones)["main"] == merge
    plain_git(human, "fsck", "--strict")


def test_it_does_not_land_on_a_base_that_moved(
    clones: Clones, human: Path, base: str, merge: str
) -> None:
    new = human_commits(human, {"h": "h"})
    with pytest.raises(BaseMoved, match="merge again on its new state") as caught:
        land(clones, MAIN, merge, base)
    assert (caught.value.actual, caught.value.permanent) == (new, False)
    assert human_ref(human, MAIN) == new
    plain_git(human, "checkout", "-q", "--detach")
    plain_git(human, "branch", "-D", "main")
    with pytest.raises(BaseMoved, match="is at nothing"):
        land(clones, MAIN, merge, base)
    assert not landed(human, MAIN, merge)
    with pytest.raises(BranchRefused):
        land(clones, "main", merge, base)


def test_one_of_many_lands(clones: Clones, human: Path, base: str, merge: str) -> None:
    from app.git.merging import tree_of

    rivals = [
        commit_tree(clones, tree_of(clones, merge), (base,), f"rival {n}", WHO, AT)
        for n in range(6)
    ]
    won, lost = [], []

    def try_it(sha: str) -> None:
        try:
            land(clones, MAIN, sha, base)
            won.append(sha)
        except BaseMoved:
            lost.append(sha)

    threads = [threading.Thread(target=try_it, args=(sha,)) for sha in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 5)
    assert [sha for sha in rivals if landed(human, MAIN, sha)] == won


@pytest.mark.parametrize("how", ["edited", "staged", "deleted", "untracked", "merging"])
def test_a_dirty_checkout_is_told_and_not_touched(
    clones: Clones, human: Path, base: str, merge: str, how: str
) -> None:
    if how == "merging":
        plain_git(human, "checkout", "-q", "-b", "side")
        human_commits(human, {"README.md": "side\n"})
        plain_git(human, "checkout", "-q", "main")
        human_commits(human, {"README.md": "mine\n"})
        plain_git(human, "reset", "-q", "--hard", base)
        plain_git(human, "merge", "--no-ff", "--no-commit", "side")
    elif how == "untracked":
        write(human, {"added.txt": "the human's own\n"})
    elif how == "deleted":
        (human / "README.md").unlink()
    else:
        write(human, {"README.md": "the human's own\n"})
        if how == "staged":
            plain_git(human, "add", "-A")
    before = {p.name: p.read_text() for p in human.iterdir() if p.is_file()}
    assert checkouts(human, MAIN)[0].is_clean == (how == "untracked")
    land(clones, MAIN, merge, base)
    told = follow_checkout(human, MAIN, base, merge)
    assert isinstance(told, DirtyCheckout)
    assert told.path == human
    assert told.why
    assert {p.name: p.read_text() for p in human.iterdir() if p.is_file()} == before


def test_the_command_for_a_dirty_checkout_brings_it_along(
    clones: Clones, human: Path, base: str, merge: str
) -> None:
    write(human, {"src/sums.py": "the human's own\n"})
    land(clones, MAIN, merge, base)
    told = follow_checkout(human, MAIN, base, merge)
    assert isinstance(told, DirtyCheckout)
    subprocess.run(told.command, shell=True, check=True, timeout=60)
    assert status(human) == " M src/sums.py"
    assert (human / "added.txt").exists()


def test_files_only_written_again_are_clean(
    clones: Clones, human: Path, base: str, merge: str
) -> None:
    (human / "README.md").write_text((human / "README.md").read_text())
    write(human, {"untracked.txt": "stays\n"})
    land(clones, MAIN, merge, base)
    assert follow_checkout(human, MAIN, base, merge) == Followed((human,))
    assert status(human) == "?? untracked.txt"


def test_linked_worktrees_follow_and_others_do_not(
    clones: Clones, human: Path, base: str, merge: str, tmp_path: Path
) -> None:
    plain_git(human, "checkout", "-q", "-b", "side")
    side = tmp_path / "li nked ü"
    plain_git(human, "worktree", "add", "-q", str(side), "main")
    gone = tmp_path / "gone"
    plain_git(human, "worktree", "add", "-q", "--detach", str(gone))
    land(clones, MAIN, merge, base)
    assert follow_checkout(human, MAIN, base, merge) == Followed((side,))
    assert status(side) == status(human) == ""
    assert (side / "added.txt").exists()
    assert not (human / "added.txt").exists()


def test_nothing_to_follow(clones: Clones, human: Path, base: str, merge: str) -> None:
    plain_git(human, "checkout", "-q", "-b", "side")
    land(clones, MAIN, merge, base)
    assert follow_checkout(human, MAIN, base, merge) == NotCheckedOut()
    plain_git(human, "checkout", "-q", "main")
    newer = human_commits(human, {"newer": "n"})
    assert follow_checkout(human, MAIN, base, merge) == NotCheckedOut()  # it went on by itself
    assert human_ref(human, MAIN) == newer


def test_it_lands_in_a_bare_repository(human: Path, tmp_path: Path) -> None:
    from app.git.cloning import prepare
    from app.git.gate import base_sha
    from app.git.merging import tree_of

    plain_git(tmp_path, "clone", "-q", "--bare", str(human), "bare.git")
    bare = tmp_path / "bare.git"
    clones = prepare(bare, tmp_path / "bare-state")
    old = base_sha(clones, "main")
    new = commit_tree(clones, tree_of(clones, old), (old,), "new", WHO, AT)
    land(clones, MAIN, new, old)
    assert follow_checkout(bare, MAIN, old, new) == NotCheckedOut()
    assert landed(bare, MAIN, new)


def test_a_held_lock_is_an_error_and_not_a_moved_base(
    clones: Clones, human: Path, base: str, merge: str
) -> None:
    (human / ".git" / "refs" / "heads" / "main.lock").touch()
    with pytest.raises(RepositoryBusy, match="Another git command holds refs/heads/main"):
        land(clones, MAIN, merge, base)
    (human / ".git" / "refs" / "heads" / "main.lock").unlink()
    land(clones, MAIN, merge, base)


LANDER = """
import sys
from pathlib import Path
from app.git.clones import Clones
from app.git.landing import follow_checkout, land
human, directory, new, old = sys.argv[1:]
print("go", flush=True)
land(Clones(Path(human), Path(directory)), "refs/heads/main", new, old)
print("landed", flush=True)
follow_checkout(Path(human), "refs/heads/main", old, new)
print("followed", flush=True)
"""


def kill_after(milliseconds: float, process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(milliseconds / 1000)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def test_a_kill_at_any_point_is_mended_by_doing_it_again(
    clones: Clones, human: Path, base: str, merge: str
) -> None:
    root = Path(__file__).parents[3]
    for milliseconds in (0, 5, 10, 15, 20, 30, 40, 50, 60, 80):
        plain_git(human, "reset", "-q", "--hard", base)
        process = subprocess.Popen(
            [sys.executable, "-c", LANDER, str(human), str(clones.directory), merge, base],
            cwd=root,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        kill_after(milliseconds, process)
        process.stdout.close()
        for lock in human.glob(".git/**/*.lock"):  # what the human's next git command would name
            lock.unlink()
        if not landed(human, MAIN, merge):
            land(clones, MAIN, merge, base)
        assert isinstance(follow_checkout(human, MAIN, base, merge), Followed)
        assert status(human) == ""
        assert plain_git(human, "rev-list", "--count", f"{base}..main") == "2"
    plain_git(human, "fsck", "--strict")
