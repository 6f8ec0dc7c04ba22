"""The engine and its two doors, `read()` and `write()`: short transactions, one writer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from sqlmodel import Session as OrmSession
from sqlmodel import create_engine

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # with grouped commits it costs nothing measurable
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_size_limit = 67108864",
)
# As busy_timeout there: nothing waits for a database without end.
_POSTGRES_BOUNDS = {
    "connect_timeout": 10,
    "options": "-c statement_timeout=60000 -c lock_timeout=10000",
}


class Database:
    """SQLite in WAL mode, or PostgreSQL, behind one set of queries."""

    def __init__(self, url: str) -> None:
        self.url = url
        is_sqlite = url.startswith("sqlite")
        bounds = {} if is_sqlite else _POSTGRES_BOUNDS
        self.engine = create_engine(url, pool_pre_ping=not is_sqlite, connect_args=bounds)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # One writer thread at a time: SQLite allows no more, and a queue beats SQLITE_BUSY.
        self._writer = threading.Lock()
        if self.is_sqlite:
            _prepare_sqlite(self.engine)

    @contextmanager
    def read(self) -> Iterator[OrmSession]:
        """A snapshot; nothing is written. Rows stay readable after it closes."""
        with OrmSession(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[OrmSession]:
        """One transaction: committed at the end, rolled back on any exception."""
        options: dict[str, Any] = {"qd_write": True} if self.is_sqlite else {}
        with self._writer, OrmSession(self.engine, expire_on_commit=False) as session:
            session.connection(execution_options=options)
            yield session
            session.commit()

    def close(self) -> None:
        self.engine.dispose()


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A read that later writes gets SQLITE_BUSY at once, whatever the timeout: ask first.
        wants_write = connection.get_execution_options().get("qd_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if wants_write else "BEGIN DEFERRED")
