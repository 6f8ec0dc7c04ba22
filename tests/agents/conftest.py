"""What tests of agents share: the rehearsal server, the vendors' binaries, a repository."""

import importlib.util
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.rehearsal.server import RehearsalServer
from tests.agents.sessions import Session


@pytest.fixture(scope="session")
def rehearsal() -> Iterator[RehearsalServer]:
    """The scripted model server, one for the whole run."""
    with RehearsalServer() as server:
        yield server


@pytest.fixture(scope="session")
def claude_binary() -> Path:
    """Claude Code's real binary: the bundled one, else the one on PATH."""
    return _binary("claude_agent_sdk", "_bundled/claude", "claude")


@pytest.fixture(scope="session")
def codex_binary() -> Path:
    """Codex's real binary: the bundled one, else the one on PATH."""
    return _binary("codex_cli_bin", "bin/codex", "codex")


@pytest.fixture
def git_worktree(tmp_path: Path) -> Path:
    """A git repository with one commit and an identity of its own."""
    path = tmp_path / "worktree"
    path.mkdir()
    (path / "README.md").write_text("one\ntwo\nthree\n", "utf-8")
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "Tester"),
        ("config", "user.email", "tester@example.invalid"),
        ("add", "--all"),
        ("commit", "--quiet", "--message=First commit"),
    ):
        subprocess.run(["git", *arguments], cwd=path, check=True, timeout=20)
    return path


def _binary(package: str, inside: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / inside
        if bundled.exists():
            return bundled
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} binary: install the extra [clis] or put {name} on PATH")
    return Path(found)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session directory whose runner and processes do not outlive the test."""
    session = Session(tmp_path, f"test-{uuid.uuid4().hex[:12]}")
    yield session
    session.bury()
