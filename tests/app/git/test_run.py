"""Git's process: bounded, killed whole, with an environment of our making."""

import os
import time
from pathlib import Path

import pytest

from app.errors import GitError, GitTimeout
from app.git.clones import Clones
from app.git.run import run_git
from tests.app.git.shell import plain_git


def test_it_stops_a_git_that_waits_for_ever(clones: Clones) -> None:
    reader, writer = os.pipe()  # never written, never closed
    started = time.monotonic()
    with open(reader, "rb") as silent, pytest.raises(GitTimeout) as caught:
        run_git(["hash-object", "--stdin"], git_dir=clones.gate, stdin=silent, timeout_seconds=0.3)
    os.close(writer)
    assert time.monotonic() - started < 5
    assert not caught.value.permanent


def test_it_kills_what_git_started(clones: Clones, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    helper = tmp_path / "helper.sh"
    helper.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {pid_file}\nwait\n")
    helper.chmod(0o755)
    with pytest.raises(GitTimeout):
        run_git(
            ["ls-remote", f"--upload-pack={helper}", str(clones.work)],
            git_dir=clones.gate,
            timeout_seconds=1,
        )
    status = Path(f"/proc/{pid_file.read_text().strip()}/stat")
    deadline = time.monotonic() + 5
    while status.exists() and status.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline


def test_it_reads_no_more_than_asked(human: Path) -> None:
    (human / "big").write_bytes(b"x" * 5_000_000)
    oid = plain_git(human, "hash-object", "-w", "big")
    done = run_git(["cat-file", "blob", oid], git_dir=human / ".git", limit_bytes=1000)
    assert (done.stdout, done.is_cut) == (b"x" * 1000, True)


def test_it_inherits_nothing(human: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Mallory")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    said = run_git(["var", "GIT_AUTHOR_IDENT"], git_dir=human / ".git", accept=(0, 128))
    assert "Mallory" not in said.text
    assert run_git(["rev-parse", "HEAD"], cwd=human).returncode == 0
    alias = ["-c", "alias.show-env=!env", "show-env"]
    assert "SECRET_TOKEN" not in run_git(alias, git_dir=human / ".git").text


def test_it_says_what_git_said(human: Path) -> None:
    with pytest.raises(GitError, match="git cat-file failed: fatal: Not a valid object name"):
        run_git(["cat-file", "-p", "0" * 40], git_dir=human / ".git")
