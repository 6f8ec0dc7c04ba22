"""Which git."""

from pathlib import Path

import pytest

from app.errors import RepositoryRefused
from app.git.binary import git_binary, require_version


def test_it_refuses_an_old_git() -> None:
    require_version((2, 38))
    with pytest.raises(RepositoryRefused, match=r"git 2\.30 is too old: install git 2\.38"):
        require_version((2, 30))


def test_it_refuses_where_there_is_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    git_binary.cache_clear()
    try:
        with pytest.raises(RepositoryRefused, match="git is not installed"):
            git_binary()
    finally:
        monkeypatch.undo()
        git_binary.cache_clear()
