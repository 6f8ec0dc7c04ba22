"""Brings a database to this program's schema; refuses one that a newer program made."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, pool
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from app.errors import DatabaseNewer, DatabaseUnusable
from app.paths import MIGRATIONS


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate to `revision` (newest by default); DatabaseNewer or DatabaseUnusable otherwise."""
    with _connect(url) as connection:
        _refuse_newer(connection)
        command.upgrade(_config(connection), revision)


def downgrade(url: str, revision: str = "base") -> None:
    """Undo migrations down to `revision`, to go back to an older release."""
    with _connect(url) as connection:
        _refuse_newer(connection)
        command.downgrade(_config(connection), revision)


def current(url: str) -> str:
    """The revision the database is at, "" where it is empty."""
    with _connect(url) as connection:
        return _revision(connection)


def head() -> str:
    """The revision this program was made for."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""


def is_known(revision: str) -> bool:
    """False for a revision that a newer program made; "" is the empty database's."""
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    return not revision or revision in known


def migration_engine(url: str) -> Engine:
    """An engine for one migration: no pool, foreign keys unchecked, BEGIN said by us.

    SQLite changes a table by building a new one and dropping the old: with foreign keys on, the
    drop would delete the rows that point at it.
    """
    engine = create_engine(url, poolclass=pool.NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA foreign_keys = OFF")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    """One transaction on an engine of its own; what the database says becomes one sentence."""
    try:
        engine = migration_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise DatabaseUnusable(
            f"QUARTERDECK_DATABASE_URL is not usable ({error}); for PostgreSQL write "
            "postgresql+psycopg://user@host/name and install quarterdeck[postgres]."
        ) from error
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        shown = make_url(url).render_as_string(hide_password=True)
        raise DatabaseUnusable(
            f"The database {shown} can't be used ({str(error.orig).strip()}); "
            "check that it exists, is reachable and may be written."
        ) from error
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def _refuse_newer(connection: Connection) -> None:
    revision = _revision(connection)
    if not is_known(revision):
        raise DatabaseNewer(
            f"The database is at revision {revision}, which this Quarterdeck doesn't know: a newer "
            "version made it. Install that version, or choose another QUARTERDECK_HOME."
        )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
