"""What the doctor finds, on machines that lack one thing each."""

import socket
from pathlib import Path

import pytest

from agents import registry, sandbox
from app.git.run import git_binary
from app.paths import Home
from app.services import accounts
from app.services.context import Context
from app.services.doctor import Finding, examine
from app.settings import Settings
from app.store import migrate
from tests.app import factories as make


@pytest.fixture(autouse=True)
def _no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting the vendors' programs takes seconds; one test of the CLI does it."""
    monkeypatch.setattr(registry, "DRIVERS", {"scripted": registry.DRIVERS["scripted"]})


def findings(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(settings)}


def test_a_new_home_is_fine_and_is_not_made(settings: Settings) -> None:
    found = findings(settings)
    assert {found[name].state for name in ("git", "home", "disk", "database", "port")} == {"ok"}
    assert not settings.home.exists()


def test_no_git_is_fatal(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    git_binary.cache_clear()
    found = findings(settings)
    git_binary.cache_clear()
    assert found["git"].state == "fail"
    assert "install git" in found["git"].says
    assert found["git identity"].state == "warn"


def test_no_bubblewrap_says_what_that_means(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.available.cache_clear()
    found = findings(settings)
    sandbox.available.cache_clear()
    assert found["sandbox"].state == "warn"
    assert "approve its own work" in found["sandbox"].says
    assert "install bubblewrap" in found["sandbox"].mend


def test_a_home_below_a_file_is_fatal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = findings(Settings(home=tmp_path / "file" / "home"))
    assert found["home"].state == "fail"
    assert "QUARTERDECK_HOME" in found["home"].mend


def test_a_taken_port_is_a_warning(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = findings(settings.model_copy(update={"port": port}))
    assert found["port"].state == "warn"
    assert str(port) in found["port"].says


def test_an_old_and_a_newer_database(settings: Settings, home: Home) -> None:
    home.ensure()
    migrate.upgrade(settings.database)
    assert findings(settings)["database"].says == f"At revision {migrate.head()}"
    engine = migrate.migration_engine(settings.database)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    assert findings(settings)["database"].state == "fail"
    migrate_down = migrate.migration_engine(settings.database)
    with migrate_down.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    migrate_down.dispose()
    assert findings(settings)["database"].state == "warn"


def test_accounts_are_looked_at_by_name(ctx: Context) -> None:
    accounts.add_account(ctx, name="mine", driver="scripted", auth="none")
    assert findings(ctx.settings)["account mine"].state == "ok"


def test_a_login_without_its_directory_and_a_shared_one_are_named(
    ctx: Context, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("here")
    for name in ("gone", "here", "link"):
        given = {"driver": "scripted", "auth": "subscription"}
        make.account(ctx, name, config_dir=str(tmp_path / name), **given)
    found = findings(ctx.settings)
    assert found["account gone"].state == "warn"
    assert str(tmp_path / "gone") in found["account gone"].mend
    assert found["account link"].says == "It shares its directory with here."
