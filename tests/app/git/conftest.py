"""A human's repository, its clones and an agent's worktree, all real git in a temporary folder."""

import shutil
from pathlib import Path

import pytest

from app.git.clones import Clones
from app.git.cloning import prepare
from app.git.gate import base_sha
from app.git.snapshots import Worktree
from app.git.worktrees import claim
from tests.app.git.shell import make_repository, plain_git


@pytest.fixture(autouse=True)
def git_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own with a git identity, so that the machine's settings play no part."""
    person = tmp_path / "person"
    person.mkdir()
    (person / ".gitconfig").write_text(
        "[user]\n\tname = Ada Human\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n"
    )
    monkeypatch.setenv("HOME", str(person))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME", raising=False)
        monkeypatch.delenv(f"GIT_{role}_EMAIL", raising=False)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The human's repository and its clones, made once and copied for each test."""
    made = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada Human")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        prepare(make_repository(made / "human"), made / "state" / "repositories" / "human")
    return made


@pytest.fixture
def human(template: Path, tmp_path: Path) -> Path:
    """The human's repository, checked out on main and clean."""
    shutil.copytree(template / "human", tmp_path / "human", symlinks=True)
    plain_git(tmp_path / "human", "update-index", "--refresh")
    return tmp_path / "human"


@pytest.fixture
def clones(template: Path, human: Path, tmp_path: Path) -> Clones:
    """Its clones."""
    shutil.copytree(template / "state", tmp_path / "state", symlinks=True)
    return Clones(human, tmp_path / "state" / "repositories" / "human")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where worktrees are."""
    return tmp_path / "worktrees"


@pytest.fixture
def base(clones: Clones) -> str:
    """The commit main is at."""
    return base_sha(clones, "main")


@pytest.fixture
def worktree(clones: Clones, root: Path, base: str) -> Worktree:
    """Agent bo's worktree on a fresh branch."""
    return claim(clones, "bo", "qd/bo/first-task", base, root)
