"""What this machine lacks to run Quarterdeck, and how to mend it. Looks, changes nothing."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agents import registry, sandbox
from agents.base import Availability, Driver, Endpoint
from agents.errors import AgentError
from app.errors import AppError
from app.git.binary import git_binary
from app.listen import bind
from app.lock import is_running, running_url
from app.models import Account
from app.services import logins
from app.settings import Settings
from app.store import accounts, migrate
from app.store.database import Database

State = Literal["ok", "warn", "fail"]
CHECK_SECONDS = 45
LOW_DISK_GB, NO_DISK_GB = 5.0, 1.0


@dataclass(frozen=True)
class Finding:
    """One row of the report. `fail`: nothing works before it is mended; `warn`: some things."""

    name: str
    state: State
    says: str
    mend: str = ""


Check = Callable[[], Finding]


def examine(settings: Settings) -> list[Finding]:
    """All findings, in a fixed order; each check is given CHECK_SECONDS."""
    checks = [*_machine(settings), *_drivers(), *_accounts(settings)]
    pool = ThreadPoolExecutor(max_workers=4)
    started = [(name, pool.submit(check)) for name, check in checks]
    findings = [_result(name, future) for name, future in started]
    pool.shutdown(wait=False, cancel_futures=True)
    return findings


def _result(name: str, future: Future[Finding]) -> Finding:
    try:
        return future.result(timeout=CHECK_SECONDS)
    except TimeoutError:
        return Finding(name, "warn", f"No answer in {CHECK_SECONDS} seconds.", "Try it by hand.")
    except (AppError, AgentError, OSError) as error:
        return Finding(name, "fail", str(error))


def _machine(settings: Settings) -> list[tuple[str, Check]]:
    return [
        ("Python", _python),
        ("git", _git),
        ("git identity", _identity),
        ("sandbox", lambda: _sandbox(settings)),
        ("home", lambda: _home(settings.home)),
        ("disk", lambda: _disk(settings.home)),
        ("database", lambda: _database(settings)),
        ("port", lambda: _port(settings)),
    ]


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def _git() -> Finding:
    binary = git_binary()
    said = subprocess.run([binary, "version"], capture_output=True, text=True, timeout=20)
    return Finding("git", "ok", f"{said.stdout.strip()} at {binary}")


def _identity() -> Finding:
    if shutil.which("git") is None:
        return Finding("git identity", "warn", "Not asked: there is no git.")
    asked = ["git", "config", "--get", "user.email"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=20, cwd=Path.home())
    if who := os.environ.get("GIT_COMMITTER_EMAIL") or done.stdout.strip():
        return Finding("git identity", "ok", who)
    return Finding(
        "git identity",
        "warn",
        "Git does not know who you are; merges would be nobody's.",
        'git config --global user.email "you@example.org"; the same for user.name',
    )


def _sandbox(settings: Settings) -> Finding:
    found = sandbox.available()
    if not settings.sandbox:
        says = "Turned off by QUARTERDECK_SANDBOX: an agent can read your files and approve itself."
        return Finding("sandbox", "warn", says, "Unset QUARTERDECK_SANDBOX.")
    if found.ok:
        return Finding("sandbox", "ok", f"bubblewrap {found.version} at {found.binary}")
    says = "Sessions run unboxed: an agent can read your files and approve its own work."
    return Finding("sandbox", "warn", says, found.problem)


def _home(home: Path) -> Finding:
    there = _nearest(home)
    try:
        with tempfile.NamedTemporaryFile(dir=there):
            pass
    except OSError as error:
        mend = "Mend its owner and mode, or set QUARTERDECK_HOME to a directory of yours."
        return Finding("home", "fail", f"{there} can't be written ({error.strerror}).", mend)
    return Finding("home", "ok", str(home) if there == home else f"{home} (made at first start)")


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(_nearest(home)).free / 1e9
    state: State = "ok" if free >= LOW_DISK_GB else "warn" if free >= NO_DISK_GB else "fail"
    mend = "" if state == "ok" else "Free space: every agent has a checkout of its own."
    return Finding("disk", state, f"{free:.1f} GB free at {home}", mend)


def _nearest(home: Path) -> Path:
    """The directory itself, or the first one above it that exists."""
    return next(path for path in (home, *home.parents) if path.exists())


def _database(settings: Settings) -> Finding:
    if not _has_database(settings):
        return Finding("database", "ok", "None yet; made at first start.")
    at, wanted = migrate.current(settings.database), migrate.head()
    if at == wanted:
        return Finding("database", "ok", f"At revision {at}")
    if migrate.is_known(at):
        mend = "Start the server, or run `quarterdeck migrate`."
        return Finding("database", "warn", f"At revision {at or 'none'}, {wanted} is due.", mend)
    says = f"At revision {at}, which a newer Quarterdeck made."
    return Finding("database", "fail", says, "Install that version, or use another home.")


def _has_database(settings: Settings) -> bool:
    return bool(settings.database_url) or settings.state.database.exists()


def _port(settings: Settings) -> Finding:
    if is_running(settings.state):
        return Finding("port", "ok", f"A server runs at {running_url(settings.state)}")
    try:
        with bind(settings.host, settings.port):
            return Finding("port", "ok", f"{settings.host}:{settings.port} is free")
    except AppError as error:
        return Finding("port", "warn", str(error), "Set QUARTERDECK_PORT, or stop who has it.")


def _drivers() -> list[tuple[str, Check]]:
    checks: list[tuple[str, Check]] = []
    for driver_id in registry.DRIVERS:
        driver = registry.driver(driver_id)
        if driver.capabilities.auths != ("none",):  # a script needs no login
            checks.append((driver.capabilities.label, _driver_check(driver)))
    return checks


def _driver_check(driver: Driver) -> Check:
    capabilities = driver.capabilities
    auth = capabilities.auths[0]
    key = capabilities.api_key_env if auth == "api_key" else ""
    endpoint = Endpoint(auth=auth, secret_env=key)
    return lambda: _availability(capabilities.label, driver.available(endpoint, dict(os.environ)))


def _accounts(settings: Settings) -> list[tuple[str, Check]]:
    try:
        if not _has_database(settings) or migrate.current(settings.database) != migrate.head():
            return []
    except AppError:
        return []  # the database's own row says it
    database = Database(settings.database)
    with database.read() as db:
        known = accounts.every(db)
    database.close()
    return [(f"account {account.name}", _account_check(account, known)) for account in known]


def _account_check(account: Account, known: list[Account]) -> Check:
    name = f"account {account.name}"

    def check() -> Finding:
        if missing := logins.missing_directory(account):
            return Finding(name, "warn", "Its directory is not there.", missing)
        if other := logins.sharer(account, known):
            mend = "Give each login its own: `quarterdeck account set NAME --config-dir DIRECTORY`."
            return Finding(name, "warn", f"It shares its directory with {other.name}.", mend)
        endpoint = logins.endpoint_of(account)
        found = registry.driver(account.driver).available(endpoint, dict(os.environ))
        return _availability(name, found)

    return check


def _availability(name: str, found: Availability) -> Finding:
    """`problem` names the way out by itself: it is the vendor's knowledge, not ours."""
    what = " ".join(filter(None, (found.version, found.binary and f"at {found.binary}")))
    if not found.ok:
        return Finding(name, "warn", f"{what or 'Not ready'}.", found.problem)
    if found.logged_in is None:
        return Finding(name, "ok", what or "Ready.")
    return Finding(name, "ok", f"{what}, logged in" if what else "Logged in.")
