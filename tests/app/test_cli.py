"""The command as a human runs it: a real server in a process, real verbs against it."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app import __version__
from app.paths import ROOT
from app.store.migrate import head
from tests.conftest import GIT_ENVIRONMENT

RUN = [sys.executable, "-c", "from app.cli import main; main()"]


@dataclass(frozen=True)
class Command:
    """`quarterdeck` with a home and a directory."""

    home: Path
    cwd: Path

    @property
    def environment(self) -> dict[str, str]:
        here = {"QUARTERDECK_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        return {**kept, **GIT_ENVIRONMENT, **here}

    def __call__(self, *arguments: str, status: int = 0, given: str = "") -> str:
        """What it printed, both ways; asserts the exit status."""
        done = subprocess.run(
            [*RUN, *arguments],
            cwd=self.cwd,
            env=self.environment,
            input=given,
            text=True,
            capture_output=True,
            timeout=50,
        )
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        assert "Traceback" not in said
        return said

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path / "home", tmp_path)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("work") / "my shöp"
    path.mkdir()
    (path / "readme.md").write_text("A shop.\n")
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "First"]):
        environment = {**os.environ, **GIT_ENVIRONMENT}
        subprocess.run(["git", *arguments], cwd=path, check=True, env=environment)
    return path


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, repository: Path
) -> Iterator[tuple[Command, str]]:
    """A server for the repository, started inside it without a verb, and its address."""
    command = Command(tmp_path_factory.mktemp("home"), repository)
    server = subprocess.Popen(
        [*RUN, "--port", "0"],
        cwd=repository,
        env=command.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    said = [server.stdout.readline(), server.stdout.readline()]
    found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", said[1])
    assert found, said + server.stdout.readlines()
    yield command, found[0]
    server.terminate()
    assert server.wait(timeout=20) == 0
    assert not (command.home / "server.json").exists()
    server.stdout.close()


def test_it_serves_the_repository_around_it(served: tuple[Command, str], repository: Path) -> None:
    rows = served[0].json("repository", "list")
    assert [(row["path"], row["base_branch"]) for row in rows] == [(str(repository), "main")]


def test_a_second_server_hands_the_repository_over(served: tuple[Command, str]) -> None:
    command, address = served
    assert address in command("serve", "--port", "0")


def test_a_second_server_without_a_repository_is_refused(
    served: tuple[Command, str], tmp_path: Path
) -> None:
    command, address = served
    elsewhere = Command(command.home, tmp_path)
    assert address.split("/?")[0] in elsewhere("serve", "--port", "0", status=1)


def test_the_token_verb_prints_the_login_address(served: tuple[Command, str]) -> None:
    command, address = served
    assert command("token").strip() == address


def test_tasks_and_agents_from_the_terminal(served: tuple[Command, str]) -> None:
    command, _ = served
    command("agent", "add", "ada", "--driver", "scripted")
    command("agent", "set", "ada", "--disable")
    made = command("task", "add", "Say hello", "--prompt", "-", "--agent", "ada", given="x\x1b[2J")
    number = re.search(r"Task (\d+) is queued: Say hello", made)
    assert number, made
    assert [task["wanted_agent"] for task in command.json("task", "list")] == ["ada"]
    assert "\x1b" not in command("task", "show", number[1])
    command("task", "stop", number[1])
    assert "Say hello" in command("task", "list")
    assert "is cancelled" in command("task", "cancel", number[1])
    assert [task["state"] for task in command.json("task", "list", "--closed")] == ["cancelled"]
    assert "off" in command("agent", "list")


def test_refusals_are_the_servers_own_sentences(served: tuple[Command, str]) -> None:
    command, _ = served
    assert "There is no task 99" in command("task", "start", "99", status=1)
    assert "There is no agent 'eve'" in command("agent", "say", "eve", "hi", status=1)
    assert "There is no merge request 5" in command("review", "approve", "5", status=1)
    assert "no permission request 3" in command("permission", "answer", "3", "deny", status=1)
    assert "known drivers" in command("agent", "add", "zoe", "--driver", "none", status=1)


def test_an_agent_works_and_its_log_is_read(served: tuple[Command, str]) -> None:
    command, _ = served
    command("agent", "add", "bob", "--driver", "scripted")
    command("task", "add", "", "--prompt", "Say where you are.", "--agent", "bob")
    with subprocess.Popen(
        [*RUN, "agent", "log", "bob", "--follow"],
        cwd=command.cwd,
        env=command.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as log:
        assert log.stdout is not None
        seen = []
        for line in log.stdout:
            seen.append(line)
            if "turn completed" in line:
                break
        log.terminate()
    assert any("» Say where you are." in line for line in seen)
    assert command.json("agent", "list")[-1]["name"] == "bob"


def test_help_and_version_are_quick_and_need_nothing(command: Command) -> None:
    assert command("--version").strip() == f"quarterdeck {__version__}"
    assert "review" in command("--help")
    assert not command.home.exists()


def test_without_a_server_the_sentence_says_how_to_start_one(command: Command) -> None:
    said = command("task", "list", status=1)
    assert "quarterdeck serve" in said
    assert str(command.home) in said


def test_a_stale_address_file_fools_nobody(command: Command) -> None:
    """Someone else listens where a dead server did: it must not be shown the token."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        url = f"http://127.0.0.1:{stranger.getsockname()[1]}"
        command.home.mkdir()
        (command.home / "server.json").write_text(json.dumps({"url": url}))
        (command.home / "server.lock").touch()
        assert "No server runs" in command("task", "list", status=1)


def test_a_taken_port_is_one_sentence(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"Port {port} is taken" in command("serve", "--port", port, status=1)


def test_a_remote_address_needs_a_flag(command: Command) -> None:
    assert "--allow-remote" in command("serve", "--host", "0.0.0.0", "--port", "0", status=1)


def test_a_home_that_is_a_file_is_one_sentence(command: Command) -> None:
    command.home.write_text("")
    said = command("serve", "--port", "0", status=1)
    assert "QUARTERDECK_HOME" in said


def test_a_database_of_a_newer_version_is_one_sentence(command: Command) -> None:
    assert f"Schema none → {head()}" in command("migrate")
    with sqlite3.connect(command.home / "quarterdeck.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0900'")
    database.close()
    assert "newer" in command("serve", "--port", "0", status=1)


def test_a_repository_without_a_commit_is_one_sentence(command: Command) -> None:
    subprocess.run(["git", "init", "-q", str(command.cwd)], check=True)
    said = command("serve", "--port", "0", status=1)
    assert "commit" in said
    assert len(said.splitlines()) == 1


def test_doctor_reports_every_driver(command: Command) -> None:
    rows = {row["name"]: row for row in command.json("doctor")}
    assert {"git", "sandbox", "home", "disk", "port", "Claude Code", "Codex"} <= set(rows)
    assert rows["git"]["state"] == "ok"
    assert all(row["mend"] for row in rows.values() if row["state"] != "ok")


def test_bench_prints_its_frame_and_checks_its_bars(command: Command) -> None:
    assert "start" in command("bench", "--help")
    assert "start" in command("bench", "nothing", status=2)
    report = json.loads(command("bench", "start", "--repeat", "1", "--json"))
    assert report["command"] == "quarterdeck bench start --repeat 1 --json"
    assert {"machine", "versions", "load_before", "rows", "bars"} <= set(report)
