"""Asking a vendor about accounts, with a driver that says what a file tells it to."""

import json
import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.errors import Invalid
from app.models import Account
from app.models.base import utc_now
from app.services import accounts, probing
from app.services.context import Context
from app.store import quota
from app.store.accounts import get
from tests.app import factories as make

WINDOWS = [
    {"kind": "five_hour", "used_percent": 61.0, "window_minutes": 300},
    {"kind": "seven_day", "used_percent": 22.0, "window_minutes": 10_080},
]


class Login:
    """An account of the scripted driver with a directory of its own."""

    def __init__(self, ctx: Context, directory: Path, **more: Any) -> None:
        self.directory = directory
        given = {"driver": "scripted", "auth": "subscription", "config_dir": str(directory)}
        self.id = make.account(ctx, directory.name, **given | more).id or 0
        self._ctx = ctx

    def says(self, **told: Any) -> Account:
        """Let the program say this, ask it, and give what was kept."""
        self.directory.mkdir(exist_ok=True)
        (self.directory / "account.json").write_text(json.dumps(told))
        return self.probed()

    def probed(self) -> Account:
        probing.probe(self._ctx, self.id)
        return self.row

    @property
    def row(self) -> Account:
        with self._ctx.db.read() as db:
            row = get(db, self.id)
        assert row is not None
        return row

    @property
    def windows(self) -> dict[str, float]:
        with self._ctx.db.read() as db:
            return {row.kind: row.used_percent for row in quota.of_account(db, self.id)}


@pytest.fixture
def login(ctx: Context, tmp_path: Path) -> Login:
    return Login(ctx, tmp_path / "mine")


def test_what_the_program_says_is_kept(login: Login, published: list[str]) -> None:
    row = login.says(
        logged_in=True, identity="me@example.org", plan="Team", credits="2 resets", windows=WINDOWS
    )
    assert (row.login, row.identity, row.plan) == ("in", "me@example.org", "Team")
    assert (row.credits, row.login_problem) == ("2 resets", "")
    assert row.probed_at is not None
    assert utc_now() - row.probed_at < timedelta(seconds=10)
    assert login.windows == {"five_hour": 61.0, "seven_day": 22.0}
    assert {"accounts", "wake"} <= set(published)


def test_what_it_does_not_say_stays_and_is_never_nought(login: Login) -> None:
    login.says(logged_in=True, identity="me@example.org", plan="Team", windows=WINDOWS)
    row = login.says(logged_in=True)
    assert (row.identity, row.plan) == ("me@example.org", "Team")
    assert login.windows == {"five_hour": 61.0, "seven_day": 22.0}


def test_the_plan_is_the_humans_word_where_it_is_none_of_the_vendors(ctx: Context) -> None:
    mine = Login(ctx, ctx.home.path / "mine")
    accounts.set_account(ctx, name="mine", plan="paid by the lab")
    assert mine.says(logged_in=True, plan="pro").plan == "paid by the lab"


def test_a_logged_out_account_is_closed_and_returns(ctx: Context, login: Login) -> None:
    login.says(logged_in=True, windows=WINDOWS)
    row = login.says(logged_in=False)
    assert row.login == "out"
    assert "logged out" in accounts.closed(row, None, utc_now())
    row = login.says(logged_in=False, problem="Say who you are; run: letmein")
    assert accounts.closed(row, None, utc_now()) == "Say who you are; run: letmein"
    row = login.says(logged_in=True)
    assert (row.login, accounts.closed(row, None, utc_now())) == ("in", "")
    assert ctx.home.path.joinpath("prober").is_dir()


def test_a_missing_directory_asks_nobody_and_loses_nothing(login: Login) -> None:
    login.says(logged_in=True, identity="me@example.org", windows=WINDOWS)
    away = login.directory.rename(login.directory.with_name("away"))
    row = login.probed()
    assert (row.login, row.identity) == ("out", "me@example.org")
    assert f"{login.directory}, is missing: bring it back" in row.login_problem
    assert login.windows["seven_day"] == 22.0
    away.rename(login.directory)
    assert login.probed().login == "in"


def test_a_link_that_makes_two_accounts_one_closes_the_younger(
    ctx: Context, login: Login, tmp_path: Path
) -> None:
    login.says(logged_in=True, identity="me@example.org")
    younger = Login(ctx, tmp_path / "younger")
    younger.directory.symlink_to(login.directory)
    row = younger.probed()
    assert row.login == "out"
    assert "is the directory of 'mine' too" in row.login_problem
    assert login.probed().login == "in"


def test_two_logins_of_one_identity_are_one_account(
    ctx: Context, login: Login, tmp_path: Path
) -> None:
    twin = Login(ctx, tmp_path / "twin")
    login.says(logged_in=True, identity="Me@example.org", windows=WINDOWS)
    row = twin.says(logged_in=True, identity="me@EXAMPLE.org", windows=WINDOWS)
    assert row.login == "out"
    assert "This is the login of account 'mine' already" in row.login_problem
    assert twin.windows == {}  # they would count twice
    assert login.probed().login == "in"  # the first one is not thrown out by the second
    login.says(logged_in=False)
    assert twin.probed().login == "in"  # alone with it now
    assert login.says(logged_in=True, identity="me@example.org").login == "out"
    other = Login(ctx, tmp_path / "other", driver="scripted")
    assert other.says(logged_in=True, identity="you@example.org").login == "in"


def test_another_persons_windows_are_forgotten(ctx: Context, login: Login) -> None:
    login.says(logged_in=True, identity="me@example.org", windows=WINDOWS)
    with ctx.db.write() as db:
        row = login.row
        row.limited_until = utc_now() + timedelta(days=3)
        db.merge(row)
    row = login.says(logged_in=True, identity="you@example.org", windows=WINDOWS[:1])
    assert (row.identity, row.limited_until) == ("you@example.org", None)
    assert login.windows == {"five_hour": 61.0}


def test_a_trouble_with_the_program_throws_nobody_out(login: Login) -> None:
    login.says(logged_in=True, windows=WINDOWS)
    row = login.says(problem="It does not answer.")
    assert (row.login, row.login_problem) == ("in", "It does not answer.")
    login.says(logged_in=False, problem="Log in with: letmein")
    row = login.says(problem="It does not answer.")
    assert (row.login, row.login_problem) == ("out", "Log in with: letmein")


def test_a_missing_program_closes_the_account(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)  # nor in a package
    (tmp_path / "codex").mkdir()
    made = make.account(ctx, "codex", driver="codex", config_dir=str(tmp_path / "codex"))
    probing.probe(ctx, made.id or 0)
    row = accounts.named_account(ctx, "codex")
    assert row.login == "out"
    assert "not found" in row.login_problem


def test_a_key_whose_variable_is_not_set_says_so(ctx: Context) -> None:
    made = make.account(ctx, "key", driver="openai_api", auth="api_key", secret_env="QD_NOT_SET")
    probing.probe(ctx, made.id or 0)
    row = accounts.named_account(ctx, "key")
    assert row.login == "out"
    assert "$QD_NOT_SET, which is not set" in row.login_problem


def test_a_program_that_hangs_is_waited_for_once_and_not_for_ever(
    login: Login, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    login.says(logged_in=True)
    said = login.directory / "account.json"
    said.unlink()
    os.mkfifo(said)  # whoever reads it waits for a writer
    monkeypatch.setattr(probing, "ASK_SECONDS", 0.2)
    started = time.monotonic()
    row = login.probed()
    assert time.monotonic() - started < 5
    assert (row.login, "did not answer" in row.login_problem) == ("in", True)
    login.probed()
    asking = [thread for thread in threading.enumerate() if thread.name == f"probe-{login.id}"]
    assert len(asking) == 1  # no second program beside the first
    assert asking[0].daemon
    future = probing.begin(ctx, login.id)
    said.write_text('{"logged_in": false}')
    assert future.result(timeout=10).logged_in is False


def test_a_driver_of_another_version_is_named(ctx: Context) -> None:
    made = make.account(ctx, "old", driver="abacus", config_dir=str(ctx.home.path))
    probing.probe(ctx, made.id or 0)
    row = accounts.named_account(ctx, "old")
    assert row.login == "out"
    assert "known drivers" in accounts.closed(row, None, utc_now())


def test_an_account_that_is_gone_is_ignored(ctx: Context) -> None:
    probing.probe(ctx, 12345)


def test_only_a_login_of_its_own_has_a_command(ctx: Context) -> None:
    key = make.account(ctx, "key", driver="openai_api", auth="api_key", secret_env="K")
    with pytest.raises(Invalid, match=r"paid by a key \(put it into \$K\)"):
        probing.show_login(ctx, key)
    mine = make.account(ctx, "mine", config_dir=str(ctx.home.path))
    assert "auth login" in probing.show_login(ctx, mine)
    assert probing.due(ctx, utc_now())[:1] == [mine.id]
