"""Snapshots: every byte of a worktree, whatever the agent did to its git data."""

import os
import shutil
from pathlib import Path

import pytest

from app.errors import GitError, WorktreeUnreadable
from app.git.clones import Clones, refs
from app.git.diffs import blob
from app.git.snapshots import SNAPSHOTS, Worktree, described, snapshot
from tests.app.git.shell import agent_commits, agent_git, plain_git, write


def names(clones: Clones, sha: str) -> set[str]:
    return set(plain_git(clones.gate, "ls-tree", "-r", "-z", "--name-only", sha).split("\0")) - {""}


def test_it_keeps_everything_but_what_is_ignored(clones: Clones, worktree: Worktree) -> None:
    head = agent_commits(clones, worktree, {"done": "done", "gone": "gone", "kind": "file"})
    path = worktree.path
    write(path, {"new/file": "new", "x.pyc": "no", ".env": "KEY=1", "done": "more", "staged": "s"})
    agent_git(clones, worktree, "add", "staged")
    (path / "gone").unlink()
    (path / "kind").unlink()
    (path / "kind").symlink_to("../../etc/passwd")
    (path / "new/file").chmod(0o755)
    (path / "raw").write_bytes(bytes(range(256)) + b"\r\n")
    (path / 'od"d \\ \n name').write_text("odd")
    os.mkfifo(path / "pipe")
    before = agent_git(clones, worktree, "status", "--porcelain", "-z")
    index = (clones.admin("bo") / "index").read_bytes()
    kept = snapshot(clones, worktree, "kept", also=[".env"])
    assert kept is not None
    assert kept.head_sha == head
    assert kept.ref.startswith(f"{SNAPSHOTS}bo/")
    assert kept.ref.endswith("Z-kept")
    wanted = {"new/file", "done", "staged", "kind", "raw", 'od"d \\ \n name', ".env"}
    assert names(clones, kept.sha) == wanted | {".gitignore", "README.md", "run.sh", "src/sums.py"}
    assert blob(clones, kept.sha, "raw").content == bytes(range(256)) + b"\r\n"
    assert blob(clones, kept.sha, "kind").mode == "120000"
    assert blob(clones, kept.sha, "kind").content == b"../../etc/passwd"
    assert blob(clones, kept.sha, "new/file").mode == "100755"
    assert plain_git(clones.gate, "rev-parse", f"{kept.sha}^") == head
    assert agent_git(clones, worktree, "status", "--porcelain", "-z") == before
    assert (clones.admin("bo") / "index").read_bytes() == index
    told = described(clones, kept.sha)
    assert (told.agent, told.branch, told.head_sha) == ("bo", worktree.branch, head)


def test_it_makes_none_where_the_branch_has_it_all(clones: Clones, worktree: Worktree) -> None:
    assert snapshot(clones, worktree, "x") is None
    agent_commits(clones, worktree, {"a": "a"})
    assert snapshot(clones, worktree, "x") is None
    (worktree.path / "README.md").touch()
    assert snapshot(clones, worktree, "x") is None
    assert refs(clones.gate, SNAPSHOTS) == {}


def test_it_keeps_line_endings_that_attributes_would_change(
    clones: Clones, worktree: Worktree
) -> None:
    agent_commits(clones, worktree, {".gitattributes": "* text=auto\n*.u text encoding=x\n"})
    (worktree.path / "dos.txt").write_bytes(b"one\r\ntwo\r\n")
    (worktree.path / "bad.u").write_bytes(b"\xff\xfe\r\n")
    kept = snapshot(clones, worktree, "x")
    assert kept is not None
    assert blob(clones, kept.sha, "dos.txt").content == b"one\r\ntwo\r\n"
    assert blob(clones, kept.sha, "bad.u").content == b"\xff\xfe\r\n"


def test_it_keeps_nested_repositories_and_their_git(clones: Clones, worktree: Worktree) -> None:
    inner = worktree.path / "inner"
    plain_git(worktree.path, "init", "-q", "inner")
    write(inner, {"file": "f", "ignored.pyc": "kept too, it is another repository's"})
    plain_git(inner, "add", "-A")
    plain_git(inner, "commit", "-qm", "inner")
    agent_git(clones, worktree, "add", "inner")
    agent_git(clones, worktree, "commit", "-qm", "a gitlink")
    kept = snapshot(clones, worktree, "x")
    assert kept is not None
    assert {"inner/file", "inner/dot-git.quarterdeck/HEAD"} <= names(clones, kept.sha)
    plain_git(clones.gate, "fsck", "--strict")


def test_it_keeps_a_repository_put_in_the_place_of_the_link(
    clones: Clones, worktree: Worktree
) -> None:
    (worktree.path / ".git").unlink()
    plain_git(worktree.path, "init", "-q", ".")
    plain_git(worktree.path, "add", "-A")
    plain_git(worktree.path, "commit", "-qm", "elsewhere")
    kept = snapshot(clones, worktree, "x")
    assert kept is not None
    assert "dot-git.quarterdeck/HEAD" in names(clones, kept.sha)


def test_it_keeps_commits_of_a_detached_head(clones: Clones, worktree: Worktree) -> None:
    agent_git(clones, worktree, "checkout", "-q", "--detach")
    sha = agent_commits(clones, worktree, {"a": "a"})
    kept = snapshot(clones, worktree, "x")
    assert kept is not None
    assert kept.head_sha == sha
    assert plain_git(clones.gate, "rev-parse", f"{kept.sha}^") == sha


def test_it_keeps_commits_of_a_branch_named_otherwise(clones: Clones, worktree: Worktree) -> None:
    agent_git(clones, worktree, "checkout", "-q", "-b", "qd/bo/deep/er")
    sha = agent_commits(clones, worktree, {"a": "a"})
    kept = snapshot(clones, worktree, "x")
    assert kept is not None
    assert kept.head_sha == sha


@pytest.mark.parametrize("head", ["", "ref: refs/heads/qd/bo/none\n", "1" * 40, "\0\xff", None])
def test_it_works_with_a_spoilt_head(
    clones: Clones, worktree: Worktree, head: str | None, base: str
) -> None:
    write(worktree.path, {"a": "a"})
    path = clones.admin("bo") / "HEAD"
    path.unlink()
    if head is not None:
        path.write_text(head)
    kept = snapshot(clones, worktree, "x")
    assert kept is not None
    assert kept.head_sha == base
    assert "a" in names(clones, kept.sha)


def test_it_works_without_our_index_and_with_a_broken_one(
    clones: Clones, worktree: Worktree
) -> None:
    write(worktree.path, {"a": "a"})
    clones.index("bo").unlink()
    first = snapshot(clones, worktree, "x")
    clones.index("bo").write_bytes(b"rubbish")
    second = snapshot(clones, worktree, "x")
    assert first is not None
    assert second is not None
    assert names(clones, first.sha) == names(clones, second.sha)
    clones.index("bo").with_name("bo.lock").touch()  # left by a server that was killed
    assert snapshot(clones, worktree, "x") is not None


def test_it_never_reads_outside_the_worktree(
    clones: Clones, worktree: Worktree, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("SECRET")
    shutil.rmtree(worktree.path / "src")
    (worktree.path / "src").symlink_to(tmp_path / "secret")
    (worktree.path / "inner").mkdir()
    plain_git(worktree.path, "init", "-q", "inner")
    (worktree.path / "inner" / "link").symlink_to(tmp_path / "secret")
    kept = snapshot(clones, worktree, "x", also=["key"])
    assert kept is not None
    assert not any(name.endswith("key") for name in names(clones, kept.sha))
    assert blob(clones, kept.sha, "src").mode == "120000"
    assert blob(clones, kept.sha, "inner/link").mode == "120000"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_it_refuses_what_it_cannot_read(clones: Clones, worktree: Worktree) -> None:
    write(worktree.path, {"closed": "x"})
    (worktree.path / "closed").chmod(0)
    with pytest.raises(WorktreeUnreadable, match="closed can't be kept"):
        snapshot(clones, worktree, "x")


def test_it_knows_a_snapshot_from_another_commit(clones: Clones, base: str) -> None:
    with pytest.raises(GitError, match="is not a snapshot"):
        described(clones, base)
