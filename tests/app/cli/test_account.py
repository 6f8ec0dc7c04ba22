"""`quarterdeck account` as a human types it: a real server, real verbs, a login that happens."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.drivers.codex import find_binary
from app.cli.account_table import left, print_accounts
from app.models import Account
from app.models.base import utc_now
from app.paths import ROOT, Home
from app.store.database import Database
from tests.app.supervisor.conftest import make_repository
from tests.app.supervisor.serving import Server
from tests.conftest import GIT_ENVIRONMENT

RUN = [sys.executable, "-c", "from app.cli import main; main()"]
FIVE = {"kind": "five_hour", "used_percent": 61.0, "window_minutes": 300}


class Shell:
    """A terminal in a directory, with the server's home."""

    def __init__(self, home: Path, cwd: Path) -> None:
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        here = {"QUARTERDECK_HOME": str(home), "PYTHONPATH": str(ROOT)}
        self._environment, self._cwd = {**kept, **GIT_ENVIRONMENT, **here}, cwd

    def __call__(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [*RUN, "account", *arguments],
            cwd=self._cwd,
            env=self._environment,
            text=True,
            capture_output=True,
            timeout=50,
        )
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        assert "Traceback" not in said
        return said

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """The same, still running; both outputs are one."""
        return subprocess.Popen(
            [*RUN, "account", *arguments],
            cwd=self._cwd,
            env=self._environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def server(home: Home, tmp_path: Path) -> Iterator[Server]:
    made = Server(home.path, make_repository(tmp_path / "ship"))
    made.start()
    assert made.url
    yield made
    made.kill()


@pytest.fixture
def shell(server: Server, home: Home, tmp_path: Path) -> Shell:
    assert server.pid
    return Shell(home.path, tmp_path)


@pytest.mark.slow
def test_accounts_from_the_terminal(shell: Shell, tmp_path: Path) -> None:
    work = ("work", "--driver", "claude_code", "--config-dir", "logins/work")
    made = shell.json("add", *work, "--plan", "Max 20x", "--reserve", "15")
    assert made["config_dir"] == str(tmp_path / "logins/work")  # from where the human is
    key = ("key", "--driver", "openai_api", "--auth", "api_key", "--key-variable", "QD_K")
    shell("add", *key, "--daily-cap", "5", "--max-running", "2", "--by-hand", "--model", "m")
    said = shell("list")
    assert "max_20x $200" in said
    assert "by hand only, $5 a day, 2 at a time, only m" in said
    assert f"{tmp_path}/logins/work is not there; run: mkdir -p" in said
    changed = shell.json("set", "key", "--lift", "daily-cap", "--lift", "models", "--automatic")
    assert (changed["daily_cap_usd"], changed["models"], changed["is_automatic"]) == (
        None,
        [],
        True,
    )
    assert "name one of plan, price" in shell("set", "key", "--lift", "colour", status=2)
    assert "take 0 to 95" in shell("set", "work", "--reserve", "100", status=1)
    assert "There is no account 'x'" in shell("probe", "x", status=1)
    assert "Nobody logs in to key" in shell("login", "key", status=1)
    assert "QD_K, which is not set" in shell("probe", "key")
    assert "key is forgotten" in shell("remove", "key")
    assert [account["name"] for account in shell.json("list")] == ["work"]


@pytest.mark.slow
def test_a_probe_shows_who_it_is_and_how_full(shell: Shell, home: Home, tmp_path: Path) -> None:
    directory = tmp_path / "mine"
    directory.mkdir()
    said = directory / "account.json"
    said.write_text('{"logged_in": false, "problem": "Nobody is here."}')
    database = Database(f"sqlite:///{home.database}")
    with database.write() as db:
        given = {"driver": "scripted", "auth": "subscription", "config_dir": str(directory)}
        db.add(Account(name="my login", **given))
    database.close()
    assert "! my login: Nobody is here." in shell("probe", "my login")
    said.write_text(json.dumps({"logged_in": True, "identity": "me@x", "windows": [FIVE]}))
    probed = shell("probe", "my login")
    assert [word for word in ("me@x", "five hour", "61%") if word not in probed] == []


@pytest.mark.slow
def test_a_login_with_the_vendors_own_program_is_noticed(shell: Shell, tmp_path: Path) -> None:
    """The human types what we show, into another terminal, while our command waits."""
    directory = tmp_path / "my codex"
    shell("add", "codex", "--driver", "codex", "--config-dir", str(directory))
    waiting = shell.start("login", "codex")
    assert waiting.stdout is not None
    typed = next(line.strip() for line in waiting.stdout if "CODEX_HOME" in line)
    assert typed == f"mkdir -p '{directory}' && CODEX_HOME='{directory}' codex login"
    binary = find_binary(dict(os.environ))
    typed = typed.replace("codex login", f"{binary} login --with-api-key")
    subprocess.run(["sh", "-c", typed], input="sk-nothing-0123", text=True, check=True, timeout=30)
    said, _ = waiting.communicate(timeout=45)
    assert (waiting.returncode, "codex is logged in" in said) == (0, True)


def test_a_table_shows_what_is_not_known_as_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    window = {"kind": "seven_day", "used_percent": None, "elapsed_percent": None}
    window |= {"window_minutes": 10_080, "resets_at": None, "is_refused": True}
    window["observed_at"] = utc_now().isoformat()
    account: dict[str, Any] = {"name": "a\x1b[2J", "driver": "d", "auth": "subscription"}
    account |= {"is_rehearsal": True, "login": "unknown", "secret_env": "", "base_url": ""}
    account |= {"plan": "", "price_usd_month": None, "limited_until": None, "rank": 0}
    account |= {"reserve_percent": 0.0, "is_automatic": True, "daily_cap_usd": None}
    account |= {"max_running": None, "models": [], "closed": "", "login_problem": ""}
    print_accounts([account | {"windows": [window]}])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "?, refused" in said
    assert "0%" not in said
    assert "d (rehearsed)" in said


def test_time_left_is_said_in_two_words() -> None:
    now = utc_now()
    assert left(None) == ""
    assert left("2000-01-01T00:00:00Z") == ""
    assert left(now.replace(year=now.year + 1).isoformat()).endswith("h")
