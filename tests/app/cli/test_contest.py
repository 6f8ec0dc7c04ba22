"""The contest's and the record's verbs against a real server."""

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
def test_a_contest_and_the_record_from_the_terminal() -> None:
    said("account", "add", "Scripts", "--driver", "scripted", "--auth", "none")
    for name in ("maple", "otter"):
        said("agent", "add", name, "--driver", "scripted")
    both = ("--agent", "maple", "--agent", "otter")
    begun = json.loads(said("contest", "start", "Race", *both, "--draft", "--json"))
    assert [each["agent"] for each in begun["contenders"]] == ["maple", "otter"]
    assert "Race" in said("contest", "list")
    assert "otter" in said("contest", "show", "1")
    with pytest.raises(AppError, match="one of both"):
        said("contest", "start", "Race", *both, "--model", "m")
    with pytest.raises(AppError, match="no merge request 7"):
        said("contest", "pick", "1", "7")
    assert "is cancelled" in said("contest", "cancel", "1")

    assert "at once" in said("record", "show", "--by", "area")
    assert "are preferred" in said("record", "prefer", "on")
    assert json.loads(said("record", "show", "--json"))["prefers"] is True
    with pytest.raises(AppError, match="neither on nor off"):
        said("record", "prefer", "maybe")


@pytest.mark.usefixtures("served")
def test_a_task_has_a_kind_and_a_care() -> None:
    made = json.loads(
        said("task", "add", "A", "--label", "Docs", "--care", "read", "--draft", "--json")
    )
    assert (made["label"], made["care"]) == ("docs", "read")
    changed = json.loads(said("task", "set", "1", "--care", "none", "--json"))
    assert (changed["label"], changed["care"]) == ("docs", "")


def said(*arguments: str) -> str:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False).stdout
