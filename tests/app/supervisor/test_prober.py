"""The prober with a real supervisor: what it notices, and what a lost login does to the work."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from app.models import Account, Agent
from app.services import accounts, probing
from app.store.accounts import by_name
from tests.app import factories as make
from tests.app.supervisor.conftest import Deck

WINDOWS = [{"kind": "seven_day", "used_percent": 22.0, "window_minutes": 10_080}]


class Login:
    """The deck's scripted account with a login of its own."""

    def __init__(self, deck: Deck, directory: Path, name: str = "Login") -> None:
        directory.mkdir()
        self._deck, self._said = deck, directory / "account.json"
        self.name = name
        given = {"driver": "scripted", "auth": "subscription", "config_dir": str(directory)}
        self.id = make.account(deck.ctx, name, **given).id or 0

    def says(self, **told: Any) -> None:
        part = self._said.with_suffix(".part")
        part.write_text(json.dumps(told))
        part.rename(self._said)

    @property
    def row(self) -> Account:
        with self._deck.ctx.db.read() as db:
            row = by_name(db, self.name)
        assert row is not None
        return row

    async def until(self, login: str) -> Account:
        with self._deck.bus.listen(["accounts"]) as listener:
            async with asyncio.timeout(20):
                while self.row.login != login:
                    await listener.changes(0.25)
        return self.row


@pytest.fixture
def login(fleet: Deck, tmp_path: Path) -> Login:
    """The account of the agent `maple`."""
    made = Login(fleet, tmp_path / "login")
    made.says(logged_in=True, identity="me@example.org", windows=WINDOWS)
    with fleet.ctx.db.write() as db:
        maple = db.get_one(Agent, 1)
        maple.account_id = made.id
        db.add(maple)
    return made


async def test_a_new_account_is_asked_by_itself(login: Login, deck: Deck) -> None:
    row = await login.until("in")
    assert row.identity == "me@example.org"
    assert deck.ctx.home.path.joinpath("prober").is_dir()


@pytest.mark.slow
async def test_a_login_is_noticed_when_it_happens(login: Login, deck: Deck) -> None:
    login.says(logged_in=False, problem="Log in with: letmein")
    probing.ask(deck.ctx, login.id)
    row = await login.until("out")
    assert "letmein" in row.login_problem
    login.says(logged_in=True, identity="me@example.org")
    probing.ask(deck.ctx, login.id)
    assert (await login.until("in")).login_problem == ""


@pytest.mark.slow
async def test_a_login_lost_in_mid_run_parks_the_work_until_it_returns(
    login: Login, deck: Deck
) -> None:
    await login.until("in")
    login.says(logged_in=False, problem="Log in with: letmein")
    work = deck.add_task(agent="maple", say="on it", fail="auth")
    task = await deck.until_task(work, "parked")
    assert task.parked_until is None
    assert "goes on by itself" in task.state_reason
    row = await login.until("out")
    assert accounts.closed(row, None, deck.task(work).created_at) == row.login_problem
    await deck.until(lambda: deck.state(work) == "stopped")
    launches = deck.session(work).launches
    login.says(logged_in=True, identity="me@example.org", windows=WINDOWS)
    probing.ask(deck.ctx, login.id)
    await login.until("in")
    await deck.until(lambda: deck.session(work).launches == launches + 1)
    assert deck.task(work).state != "failed"


@pytest.mark.slow
async def test_a_login_that_only_its_program_believes_in_stays_closed(
    login: Login, deck: Deck
) -> None:
    """The service says no, the status command says yes, the meter is silent: nothing spins."""
    login.says(logged_in=True, identity="me@example.org")
    before = (await login.until("in")).probed_at
    work = deck.add_task(agent="maple", say="on it", fail="auth")
    await deck.until_task(work, "parked")
    await deck.until(lambda: login.row.probed_at != before)
    await deck.until(lambda: deck.state(work) == "stopped")
    row = login.row
    assert (row.login, deck.task(work).state, deck.session(work).launches) == ("out", "parked", 1)
    assert "was refused (The script asked for the failure `auth`)" in row.login_problem
    probing.ask(deck.ctx, login.id)  # the human says that it is mended
    await deck.until(lambda: deck.session(work).launches == 2)


async def test_one_that_hangs_holds_up_neither_the_others_nor_the_end(
    login: Login, fleet: Deck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "ASK_SECONDS", 0.5)
    login.says(logged_in=True, hang_seconds=30)
    other = Login(fleet, tmp_path / "other", "Other")
    other.says(logged_in=True, identity="you@example.org")
    fleet.bus.attach()
    await fleet.supervisor.start()
    await other.until("in")
    assert "did not answer" in login.row.login_problem
    async with asyncio.timeout(5):
        await fleet.supervisor.stop()
    hung = [thread for thread in threading.enumerate() if thread.name == f"probe-{login.id}"]
    assert all(thread.daemon for thread in hung)
