"""Pushing to a real bare remote; `gh` is a small program that notes how it was called."""

import os
from pathlib import Path

import pytest

from app.errors import GitError, PullRefused, PushRefused
from app.git.clones import Clones
from app.git.gate import fetch_branch
from app.git.pushing import Pull, open_pull, push, remotes
from app.git.snapshots import Worktree
from tests.app.git.shell import MAIN, agent_commits, plain_git

BRANCH = "refs/heads/qd/bo/1"
PULL = Pull("qd/bo/1", "main", "A title", "Its body.")
URL = "https://example.org/ada/sums/pull/7"


@pytest.fixture
def remote(human: Path, tmp_path: Path) -> Path:
    """Where the human's origin is."""
    bare = tmp_path / "remote.git"
    plain_git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    plain_git(human, "remote", "add", "origin", str(bare))
    plain_git(human, "push", "-q", "origin", "main")
    return bare


def at(remote: Path, ref: str) -> str:
    return plain_git(remote, "rev-parse", "--verify", "-q", ref, ok=False)


def human_commits(human: Path, message: str) -> str:
    plain_git(human, "commit", "-q", "--allow-empty", "-m", message)
    return plain_git(human, "rev-parse", "main")


def test_the_base_arrives_and_the_human_sees_it(clones: Clones, human: Path, remote: Path) -> None:
    sha = human_commits(human, "landed")
    for _ in range(2):  # again is no harm
        push(clones, "origin", sha, MAIN)
        assert at(remote, MAIN) == sha
    assert plain_git(human, "rev-parse", "origin/main") == sha


def test_an_agents_branch_arrives_and_nothing_is_added_here(
    clones: Clones, worktree: Worktree, human: Path, remote: Path
) -> None:
    agent_commits(clones, worktree, {"new": "1"})
    head = fetch_branch(clones, "bo", worktree.branch)
    before = plain_git(human, "for-each-ref") + plain_git(human, "count-objects", "-v")
    push(clones, "origin", head, BRANCH)
    assert at(remote, BRANCH) == head
    assert plain_git(remote, "show", f"{head}:new") == "1"
    assert plain_git(human, "for-each-ref") + plain_git(human, "count-objects", "-v") == before
    plain_git(human, "fsck", "--strict")


def test_what_others_pushed_is_never_overwritten(
    clones: Clones, human: Path, remote: Path, tmp_path: Path
) -> None:
    plain_git(tmp_path, "clone", "-q", str(remote), "other")
    theirs = human_commits(tmp_path / "other", "theirs")
    plain_git(tmp_path / "other", "push", "-q", "origin", "main")
    plain_git(human, "config", "remote.origin.push", "+refs/heads/*:refs/heads/*")
    ours = human_commits(human, "ours")
    with pytest.raises(PushRefused, match="commits there that you do not have here"):
        push(clones, "origin", ours, MAIN)
    assert at(remote, MAIN) == theirs


def test_a_remote_that_says_no_is_quoted(clones: Clones, human: Path, remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'main is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PushRefused, match=r"origin did not take it: .*pre-receive hook declined"):
        push(clones, "origin", human_commits(human, "landed"), MAIN)


def test_an_unknown_remote_is_answered_with_those_there_are(
    clones: Clones, human: Path, remote: Path
) -> None:
    sha = plain_git(human, "rev-parse", "main")
    for name in ("upstream", "--receive-pack=touch x", "ext::sh -c id", str(remote)):
        with pytest.raises(PushRefused, match=r"no such remote \(it has origin\)"):
            push(clones, name, sha, MAIN)
    plain_git(human, "remote", "remove", "origin")
    with pytest.raises(PushRefused, match="git remote add origin"):
        push(clones, "origin", sha, MAIN)


def test_the_address_that_pushes_go_to_counts(human: Path, remote: Path) -> None:
    assert remotes(human) == {"origin": str(remote)}
    plain_git(human, "config", "remote.origin.pushurl", "/elsewhere")
    assert remotes(human) == {"origin": "/elsewhere"}


@pytest.mark.parametrize(
    "address", ["/nowhere/at/all.git", "http://127.0.0.1:9/x.git", "ext::sh -c 'touch /tmp/x'"]
)
def test_a_remote_out_of_reach_is_a_git_error(clones: Clones, human: Path, address: str) -> None:
    plain_git(human, "remote", "add", "origin", address)
    with pytest.raises(GitError, match="git push failed: fatal:"):
        push(clones, "origin", plain_git(human, "rev-parse", "main"), MAIN)


def test_neither_tags_nor_hooks_go_along(clones: Clones, human: Path, remote: Path) -> None:
    hook = human / ".git" / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    plain_git(human, "config", "push.followTags", "true")
    plain_git(human, "config", "push.gpgSign", "true")
    sha = human_commits(human, "landed")
    plain_git(human, "tag", "-a", "v1", "-m", "v1")
    push(clones, "origin", sha, MAIN)
    assert plain_git(remote, "for-each-ref", "--format=%(refname)") == MAIN


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`gh` on the path: writes its arguments and input into `called`, then runs `answer`."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "gh").write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {place}/called\nenv > {place}/env\n"
        f"pwd >> {place}/called\ncat >> {place}/called\n. {place}/answer\n"
    )
    (place / "gh").chmod(0o755)
    (place / "answer").write_text(f"echo {URL}\n")
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    return place


def test_a_pull_request_is_opened(human: Path, gh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", "theirs")
    monkeypatch.setenv("QUARTERDECK_SECRET", "ours")
    assert open_pull(human, PULL) == URL
    assert (gh / "called").read_text().splitlines() == [
        *("pr", "create", "--head=qd/bo/1", "--base=main", "--title=A title", "--body-file=-"),
        *(str(human), "Its body."),
    ]
    seen = (gh / "env").read_text()
    assert "GH_TOKEN=theirs" in seen
    assert "QUARTERDECK_SECRET" not in seen


def test_one_that_is_open_already_is_found(human: Path, gh: Path) -> None:
    (gh / "answer").write_text(
        f"echo 'a pull request for branch \"qd/bo/1\" already exists:' >&2; echo {URL} >&2; exit 1"
    )
    assert open_pull(human, PULL) == URL


def test_what_gh_complains_of_is_passed_on(human: Path, gh: Path) -> None:
    (gh / "answer").write_text(
        "echo 'To get started with GitHub CLI, run: gh auth login' >&2; exit 4"
    )
    with pytest.raises(PullRefused, match=r"`gh` says: To get started .*gh auth login\.$"):
        open_pull(human, PULL)


def test_without_gh_the_way_is_told(
    human: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PullRefused, match="`gh` is not installed: install it"):
        open_pull(human, PULL)
