"""The two doors: writers ask for the lock before they read, so none is refused half-way."""

import threading

from sqlalchemy import event, text

from app.models import Repository
from app.services.context import Context
from app.store import repositories
from app.store.database import Database


def begun(database: Database) -> list[str]:
    """The BEGINs that the driver gets, from now on."""
    said: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_c: object, _cu: object, statement: str, *_: object) -> None:
        if statement.startswith("BEGIN"):
            said.append(statement)

    return said


def test_writers_take_the_lock_at_once_and_readers_none(ctx: Context) -> None:
    said = begun(ctx.db)
    with ctx.db.read() as db:
        repositories.every(db)
    with ctx.db.write() as db:
        repositories.every(db)
    assert said == ["BEGIN DEFERRED", "BEGIN IMMEDIATE"]


def test_two_processes_writing_wait_for_each_other(ctx: Context) -> None:
    """A second `Database` stands for a second process: it shares no lock of ours."""
    other = Database(ctx.settings.database)
    refused: list[Exception] = []

    def add(database: Database, name: str) -> None:
        try:
            for number in range(20):
                with database.write() as db:
                    repositories.every(db)
                    slug = f"{name}-{number}"
                    db.add(Repository(slug=slug, path=f"/{slug}", base_branch="main"))
        except Exception as error:
            refused.append(error)

    threads = [
        threading.Thread(target=add, args=(database, name))
        for database, name in ((ctx.db, "one"), (other, "two"), (ctx.db, "three"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    other.close()
    assert refused == []
    with ctx.db.read() as db:
        assert len(repositories.every(db)) == 60


def test_an_exception_leaves_nothing_behind(ctx: Context) -> None:
    try:
        with ctx.db.write() as db:
            db.add(Repository(slug="half", path="/half", base_branch="main"))
            raise ValueError
    except ValueError:
        pass
    with ctx.db.read() as db:
        assert repositories.every(db) == []


def test_it_is_durable_and_in_wal_mode(ctx: Context) -> None:
    with ctx.db.read() as db:
        assert db.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert db.execute(text("PRAGMA synchronous")).scalar() == 2
        assert db.execute(text("PRAGMA foreign_keys")).scalar() == 1
    assert ctx.home.path.stat().st_mode & 0o077 == 0  # the directory keeps others out
