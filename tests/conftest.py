"""For every test: a private home, a real database, git's identity, sockets on loopback only."""

import ipaddress
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.paths import Home
from app.services.context import Context
from app.settings import Settings
from app.store.database import Database
from app.store.migrate import upgrade

GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Test Human",
    "GIT_AUTHOR_EMAIL": "human@example.org",
    "GIT_COMMITTER_NAME": "Test Human",
    "GIT_COMMITTER_EMAIL": "human@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_OPTIONAL_LOCKS": "0",
}


@pytest.fixture(autouse=True)
def _git_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git knows who commits and reads nobody's configuration."""
    for name, value in GIT_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A QUARTERDECK_HOME of the test's own; no setting of the developer's shell leaks in."""
    for name in ("DATABASE_URL", "HOST", "PORT", "ALLOW_REMOTE", "ALLOWED_HOSTS", "SANDBOX"):
        monkeypatch.delenv(f"QUARTERDECK_{name}", raising=False)
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "home"))
    return Home(tmp_path / "home")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anywhere else fails the test that makes it."""
    monkeypatch.setattr(socket.socket, "connect", _guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex))


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to connect to {address}")
        return connect(self, address)

    return guarded


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database at the newest revision, made once per worker and copied."""
    path = tmp_path_factory.mktemp("migrated") / "quarterdeck.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def settings(home: Home) -> Settings:
    return Settings(home=home.path, port=0)


@pytest.fixture
def published() -> list[str]:
    """The topics that `ctx.publish` was told, in order."""
    return []


@pytest.fixture
def ctx(settings: Settings, migrated: Path, published: list[str]) -> Iterator[Context]:
    """Settings, a migrated database in the test's home, and a `publish` that takes notes."""
    settings.state.ensure()
    shutil.copyfile(migrated, settings.state.database)
    database = Database(settings.database)
    yield Context(settings, database, lambda *topics: published.extend(topics))
    database.close()
