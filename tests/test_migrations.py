"""The schema goes up, down and up again, and is what the models say, on both databases."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlmodel import SQLModel

import app.models
from app.errors import DatabaseNewer, DatabaseUnusable
from app.models.base import utc_now
from app.store.database import Database
from app.store.migrate import current, downgrade, head, migration_engine, upgrade


@contextmanager
def throw_away_postgres(directory: Path) -> Iterator[str]:
    """The URL of a cluster that lives in `directory`, is reached by a socket and ends with it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if os.name == "posix" else []
    initdb = shutil.which("initdb") or (str(found[-1]) if found else None)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    # The server refuses to run as root: then it runs as the user its package made.
    other = {"user": "postgres"} if os.geteuid() == 0 else {}
    if other:
        shutil.chown(directory, "postgres")
    data = directory / "data"

    def run(*argv: str) -> None:
        subprocess.run(
            argv, check=True, capture_output=True, timeout=60, cwd=directory, umask=0o077, **other
        )

    run(initdb, "-D", str(data), "--auth=trust", "--username=quarterdeck", "--no-sync")
    control = str(Path(initdb).with_name("pg_ctl"))
    options = f"-c listen_addresses= -c unix_socket_directories={directory} -c fsync=off"
    log = str(directory / "log")
    run(control, "-D", str(data), "-l", log, "-o", options, "-w", "start")
    try:
        yield f"postgresql+psycopg://quarterdeck@/postgres?host={directory}"
    finally:
        run(control, "-D", str(data), "-m", "immediate", "-w", "stop")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'with % and ü.db'}"
        return
    # A socket's path has at most 107 bytes, and pytest's directories are closed to other users.
    with (
        tempfile.TemporaryDirectory(prefix="qd-pg-", ignore_cleanup_errors=True) as short,
        throw_away_postgres(Path(short)) as made,
    ):
        yield made


def test_it_goes_up_down_and_up_again(url: str) -> None:
    upgrade(url)
    assert current(url) == head() == "0004"
    downgrade(url)
    assert current(url) == ""
    assert tables(url) == {"alembic_version"}
    upgrade(url)
    upgrade(url)  # nothing to do is no error
    assert tables(url) == {*SQLModel.metadata.tables, "alembic_version"}


def test_the_models_and_the_schema_agree(url: str) -> None:
    upgrade(url)
    engine = migration_engine(url)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


def test_big_numbers_and_times_come_back_as_they_went(url: str) -> None:
    upgrade(url)
    with closing(Database(url)) as database:
        keep_and_look(database)


def keep_and_look(database: Database) -> None:
    now = utc_now()
    with database.write() as db:
        account = app.models.Account(name="a", driver="x", limited_until=now)
        repository = app.models.Repository(slug="r", path="/r", base_branch="main")
        db.add_all([account, repository])
        db.flush()
        agent = app.models.Agent(name="ada", driver="x", account_id=account.id)
        task = app.models.Task(
            repository_id=repository.id, title="t", prompt="p\u2028🚢", base_branch="main"
        )
        db.add_all([agent, task])
        db.flush()
        ids = {"agent_id": agent.id, "task_id": task.id, "account_id": account.id}
        big = {"digest": 2**32 - 1, "offset": 2**40, "cache_read_tokens": 2**36}
        db.add(app.models.Session(id="s", driver="x", **ids, **big))
    with database.read() as db:
        row = db.get(app.models.Session, "s")
        assert row is not None
        assert (row.digest, row.offset, row.cache_read_tokens) == (2**32 - 1, 2**40, 2**36)
        found = db.get(app.models.Account, ids["account_id"])
        assert found is not None
        assert found.limited_until == now


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    upgrade(url)
    engine = migration_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(DatabaseNewer, match=r"revision 9999.*newer version"):
        upgrade(url)
    assert current(url) == "9999"


def test_a_failed_migration_leaves_nothing_behind(url: str) -> None:
    """A table that is in the way makes 0001 fail half-way; the other tables are not there."""
    engine = migration_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE task (id INTEGER)")
    engine.dispose()
    with pytest.raises(DatabaseUnusable, match="already exists"):
        upgrade(url)
    assert tables(url) == {"task"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not a url", "QUARTERDECK_DATABASE_URL"),
        ("mysql+nothing://x", "QUARTERDECK_DATABASE_URL"),
        ("sqlite:////nowhere/at/all/x.db", "can't be used"),
        ("postgresql+psycopg://me:hidden@127.0.0.1:1/x?connect_timeout=2", "can't be used"),
    ],
)
def test_an_unusable_database_is_one_sentence(url: str, said: str) -> None:
    with pytest.raises(DatabaseUnusable, match=said) as caught:
        upgrade(url)
    assert "hidden" not in str(caught.value)


def tables(url: str) -> set[str]:
    engine = migration_engine(url)
    with engine.begin() as connection:
        names = set(inspect(connection).get_table_names())
    engine.dispose()
    return names
