"""`quarterdeck check` and `review pull` as a human types them: a real server runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.paths import ROOT
from app.services.context import Context
from tests.app.git.shell import plain_git
from tests.app.services.checking import Yard
from tests.app.supervisor.serving import Server

URL = "https://example.org/ada/yard/pull/7"


class Shell:
    """A terminal beside the server, with its home."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __call__(self, *arguments: str, status: int = 0) -> str:
        assert self._server.url
        done = subprocess.run(
            [sys.executable, "-c", "from app.cli import main; main()", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
            capture_output=True,
            timeout=50,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def yard(ctx: Context, tmp_path: Path) -> Yard:
    return Yard(ctx, tmp_path, "printf 'looked\\nat it'; test ! -e bad")


@pytest.fixture
def shell(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A server whose `gh` opens what it is asked for."""
    place = yard.human.parent / "bin"
    place.mkdir()
    (place / "gh").write_text(f"#!/bin/sh\ncat > /dev/null\necho {URL}\n")
    (place / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    server = Server(yard.ctx.home.path, yard.human)
    server.start()
    yield Shell(server)
    server.kill()


@pytest.mark.slow
def test_a_check_is_followed_listed_and_run_again(yard: Yard, shell: Shell) -> None:
    check = yard.want(yard.request(yard.tree(bad="1")))
    number = str(check.id)
    assert shell("check", "log", number, "--follow") == "looked\nat it\n"
    assert "failed" in shell("check", "list", "1")
    assert "run 2 of this tree" in shell("check", "rerun", number)
    (again, _) = json.loads(shell("check", "list", "1", "--json"))
    assert shell("check", "log", str(again["id"]), "--follow") == "looked\nat it\n"
    shown = shell("check", "show", number)
    assert "Check 1: failed" in shown
    assert shown.count("failed") == 3
    assert "ended already" in shell("check", "cancel", number, status=1)


@pytest.mark.slow
def test_a_merge_request_becomes_a_pull_request(yard: Yard, shell: Shell) -> None:
    request = yard.request(yard.tree(a="1"))
    number = str(request.id)
    assert "no such remote" in shell("review", "pull", number, "--remote=fork", status=1)
    plain_git(yard.human.parent, "init", "-q", "--bare", "remote.git")
    plain_git(yard.human, "remote", "add", "origin", str(yard.human.parent / "remote.git"))
    assert shell("review", "pull", number) == f"{URL}\n"
    there = plain_git(yard.human.parent / "remote.git", "rev-parse", "qd/otter/1")
    assert there == request.head_sha
