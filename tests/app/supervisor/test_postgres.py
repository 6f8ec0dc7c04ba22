"""The main job with PostgreSQL as its store: one set of queries serves both."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.paths import Home
from app.services.context import Context
from app.settings import Settings
from app.store.database import Database
from app.store.migrate import upgrade
from tests.app.supervisor.conftest import Deck
from tests.test_migrations import throw_away_postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def settings(home: Home) -> Iterator[Settings]:
    with (
        tempfile.TemporaryDirectory(prefix="qd-pg-", ignore_cleanup_errors=True) as short,
        throw_away_postgres(Path(short)) as url,
    ):
        yield Settings(home=home.path, port=0, database_url=url)


@pytest.fixture
def ctx(settings: Settings) -> Iterator[Context]:
    settings.state.ensure()
    upgrade(settings.database)
    database = Database(settings.database)
    yield Context(settings, database, lambda *_: None)
    database.close()


async def test_a_task_lands(deck: Deck) -> None:
    write = "echo x > x.txt; git add -A; git commit -qm X"
    task_id = deck.add_task(run=write, rate=50, seconds=1, say="Done.")
    other = deck.add_task(ask="May I?", run=write)
    await deck.until_task(task_id, "review")
    deck.approve(task_id)
    await deck.until_task(task_id, "done")
    assert deck.git("show", "main:x.txt") == "x"
    assert deck.session(task_id).output_tokens > 0
    await deck.until(lambda: bool(deck.open_permissions()))
    assert deck.session(other).activity == "waiting_human"
