"""The balancer's verbs against a real server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.errors import AppError
from app.paths import Home
from tests.app.supervisor.conftest import make_repository
from tests.app.supervisor.serving import Server


@pytest.fixture
def served(home: Home, tmp_path: Path) -> Iterator[None]:
    server = Server(home.path, make_repository(tmp_path / "ship"))
    server.start()
    assert server.url
    yield
    server.kill()


@pytest.mark.usefixtures("served")
def test_the_mode_is_said_and_switched() -> None:
    assert "mode is advise" in said("mode")
    assert json.loads(said("mode", "auto_new", "--json"))["mode"] == "auto_new"
    assert "mode is auto_new" in said("list")
    with pytest.raises(AppError, match="does not fit"):
        said("mode", "always")
    for verb in ("apply", "dismiss", "undo"):
        with pytest.raises(AppError, match="There is no decision 7"):
            said(verb, "7")


def said(*arguments: str) -> str:
    return CliRunner().invoke(cli, ["balance", *arguments], catch_exceptions=False).stdout
