"""Accounts: the human's rules, one account a login, and why one is closed."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import AppError, Conflict, Invalid, NotFound
from app.models import Account
from app.models.base import utc_now
from app.services import accounts, logins
from app.services.context import Context
from app.store import quota
from tests.app import factories as make

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _human(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A HOME of the test's own, where the default directories lie."""
    monkeypatch.setenv("HOME", str(tmp_path))


def add(ctx: Context, name: str, directory: object = "", **more: object) -> Account:
    given = {"driver": "claude_code", "config_dir": str(directory)} | more
    return accounts.add_account(ctx, name=name, **given)  # type: ignore[arg-type]


def test_rules_are_kept_changed_and_lifted(ctx: Context) -> None:
    add(ctx, "Max", plan="Max 20x", daily_cap_usd=5, models=["opus", "opus", " sonnet "], rank=2)
    mine = accounts.named_account(ctx, "Max")
    assert (mine.plan, mine.daily_cap_usd, mine.models) == ("max_20x", 5.0, ["opus", "sonnet"])
    assert (accounts.price_of(mine), mine.price_usd_month) == (200, None)
    accounts.set_account(ctx, name="Max", reserve_percent=15, is_automatic=False, max_running=3)
    mine = accounts.set_account(ctx, name="Max", lifted=["daily_cap_usd", "models", "plan"])
    assert (mine.daily_cap_usd, mine.models, mine.plan) == (None, [], "")
    assert (mine.reserve_percent, mine.is_automatic, mine.max_running, mine.rank) == (
        15,
        False,
        3,
        2,
    )
    assert accounts.price_of(mine) is None


@pytest.mark.parametrize(
    "rules",
    [
        {"reserve_percent": 100},
        {"reserve_percent": float("nan")},
        {"daily_cap_usd": 0},
        {"week_usd": -1},
        {"price_usd_month": float("inf")},
        {"max_running": 0},
        {"rank": 10**9},
        {"plan": "a\nb"},
        {"models": ["x" * 200]},
        {"secret_env": "sk-secret"},
        {"base_url": "ftp://here"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_and_nothing_changes(
    ctx: Context, rules: dict[str, object]
) -> None:
    add(ctx, "Max", rank=7)
    with pytest.raises(Invalid, match=r"take|use|is no|name"):
        accounts.set_account(ctx, name="Max", **{"rank": 1, **rules})  # type: ignore[arg-type]
    assert accounts.named_account(ctx, "Max").rank == 7


def test_what_an_account_does_not_have_can_not_be_lifted(ctx: Context) -> None:
    add(ctx, "Max")
    with pytest.raises(Invalid, match="daily_cap_usd"):
        accounts.set_account(ctx, name="Max", lifted=["colour"])


@pytest.mark.parametrize("again", ["~/work", "{home}/work/", "{home}/x/../work", "{home}/link"])
def test_a_directory_belongs_to_one_account(ctx: Context, tmp_path: Path, again: str) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "link").symlink_to("work")
    add(ctx, "one", tmp_path / "work")
    with pytest.raises(Conflict, match="each login has its own"):
        add(ctx, "two", again.format(home=tmp_path))
    add(ctx, "three", tmp_path / "other")
    with pytest.raises(Conflict, match="each login has its own"):
        accounts.set_account(ctx, name="three", config_dir=again.format(home=tmp_path))


def test_a_relative_path_is_the_same_directory(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert add(ctx, "one", "work").config_dir == str(tmp_path / "work")
    with pytest.raises(Conflict):
        add(ctx, "two", tmp_path / "work")


def test_no_directory_means_the_drivers_default_one(ctx: Context, tmp_path: Path) -> None:
    make.account(ctx, "old")  # a row from before directories were written down
    with pytest.raises(Conflict, match="'old'"):
        add(ctx, "new", tmp_path / ".claude")
    assert add(ctx, "codex", driver="codex").config_dir == str(tmp_path / ".codex")
    token = add(ctx, "token", secret_env="MY_TOKEN")  # it needs no directory
    assert (token.config_dir, accounts.directory_of(token)) == ("", None)


def test_a_variable_belongs_to_one_account_of_a_service(ctx: Context) -> None:
    key = {"driver": "openai_api", "auth": "api_key", "secret_env": "K"}
    add(ctx, "one", **key)
    with pytest.raises(Conflict, match=r"\$K is the key of 'one'"):
        add(ctx, "two", **key)
    add(ctx, "elsewhere", **key, base_url="http://127.0.0.1:1/v1")


def test_a_name_that_can_be_no_directory_is_refused(ctx: Context) -> None:
    with pytest.raises(Invalid, match="printable"):
        add(ctx, "two", "a\0b")
    with pytest.raises(Invalid, match="leads nowhere"):
        add(ctx, "two", "~nobody-of-that-name/x")


def test_links_that_lead_in_a_circle_are_a_missing_directory(ctx: Context, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    add(ctx, "one", tmp_path / "work")
    assert "is not there" in accounts.closed(add(ctx, "two", loop), None, NOW)


def test_the_login_command_can_be_pasted(ctx: Context, tmp_path: Path) -> None:
    mine = add(ctx, "mine", tmp_path / "my login")
    command = f"CLAUDE_CONFIG_DIR='{tmp_path}/my login' claude auth login"
    assert accounts.login_command(mine) == f"mkdir -p '{tmp_path}/my login' && {command}"
    (tmp_path / "my login").mkdir()
    assert accounts.login_command(mine) == command
    key = add(ctx, "key", driver="openai_api", auth="api_key")
    assert accounts.login_command(key) == ""


def test_the_endpoint_names_the_directory(ctx: Context, tmp_path: Path) -> None:
    old = make.account(ctx, "old", driver="codex")
    assert accounts.endpoint_of(old).config_dir == str(tmp_path / ".codex")
    token = make.account(ctx, "token", secret_env="T")
    assert accounts.endpoint_of(token).config_dir == ""


def test_an_account_is_closed_with_the_way_out(ctx: Context, tmp_path: Path) -> None:
    mine = add(ctx, "mine", tmp_path / "work")
    assert f"no login yet: {tmp_path}/work is not there" in accounts.closed(mine, None, NOW)
    mine.identity = "me@example.org"
    assert f"{tmp_path}/work, is missing" in accounts.closed(mine, None, NOW)
    (tmp_path / "work").mkdir()
    assert accounts.closed(mine, None, NOW) == ""
    mine.login = "out"
    assert "run: CLAUDE_CONFIG_DIR=" in accounts.closed(mine, None, NOW)
    mine.login_problem = "This is the login of account 'x' already."
    assert accounts.closed(mine, None, NOW) == mine.login_problem
    mine.login, mine.daily_cap_usd = "in", 5.0
    assert accounts.closed(mine, None, NOW) == ""  # not known is not spent
    assert accounts.closed(mine, 4.99, NOW) == ""
    assert "$5.10 of its $5.00 a day" in accounts.closed(mine, 5.1, NOW)
    assert "less than 12 h" in accounts.closed(mine, 5.1, NOW)


def test_another_login_starts_from_nothing_and_not_under_a_session(
    ctx: Context, tmp_path: Path
) -> None:
    mine = add(ctx, "mine", tmp_path / "a")
    with ctx.db.write() as db:
        mine.login, mine.identity, mine.limited_until = "in", "me@example.org", utc_now()
        db.merge(mine)
    make.quota(ctx, mine, "seven_day", 80.0)
    worker = make.agent(ctx, "maple", mine)
    work = make.task(ctx, make.repository(ctx))
    session = make.session(ctx, worker, work)
    with pytest.raises(Conflict, match="stop them"):
        accounts.set_account(ctx, name="mine", config_dir=str(tmp_path / "b"))
    assert accounts.named_account(ctx, "mine").identity == "me@example.org"
    with ctx.db.write() as db:
        session.state = "stopped"
        db.merge(session)
    mine = accounts.set_account(ctx, name="mine", config_dir=str(tmp_path / "b"))
    assert (mine.login, mine.identity, mine.limited_until) == ("unknown", "", None)
    with ctx.db.read() as db:
        assert quota.of_account(db, mine.id or 0) == []


def test_nothing_is_opened_below_a_login(ctx: Context, tmp_path: Path) -> None:
    """Directories that nobody may enter close the account; they raise nothing."""
    if os.geteuid() == 0:
        locked = tmp_path / "file"
        locked.write_text("not a directory")
    else:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o000)
    mine = add(ctx, "mine", locked / "login")
    assert "is not there" in accounts.closed(mine, None, NOW)
    assert isinstance(logins.missing_directory(mine), str)
    with pytest.raises(AppError):
        add(ctx, "again", locked / "login")


def test_only_an_account_that_nobody_uses_is_forgotten(ctx: Context, tmp_path: Path) -> None:
    twin = add(ctx, "twin", tmp_path / "twin")
    make.quota(ctx, twin, "seven_day", 80.0)
    accounts.remove_account(ctx, name="twin")
    with pytest.raises(NotFound):
        accounts.named_account(ctx, "twin")
    make.agent(ctx, "maple", add(ctx, "mine", tmp_path / "mine"))
    make.quota(ctx, accounts.named_account(ctx, "mine"), "seven_day", 80.0)
    with pytest.raises(Conflict, match="belong to mine"):
        accounts.remove_account(ctx, name="mine")
    with ctx.db.read() as db:
        assert [row.used_percent for row in quota.every(db)] == [80.0]  # nothing was lost
