"""Runs the migrations: on the connection `app.store.migrate` hands over, or on the settings' own.

Plain `alembic revision --autogenerate -m slug` works from the checkout ([tool.alembic] in
pyproject.toml). There is never an `__init__.py` in this directory: it would hide the library.
"""

from typing import Any

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlmodel import SQLModel

import app.models  # noqa: F401 - fills the metadata
from app.models.base import UtcDateTime
from app.settings import Settings
from app.store.migrate import migration_engine


def render(kind: str, item: Any, autogen: AutogenContext) -> str | bool:
    """Our own types as plain SQLAlchemy ones: migrations import nothing of `app`."""
    del autogen
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and type(item).__name__ == "AutoString":
        return "sa.String()"
    return False


def run(connection: Connection) -> None:
    """One transaction for all steps; SQLite can do that too, once BEGIN is said by us."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,
        render_item=render,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Two servers that start at once queue here; a busy table fails instead of hanging.
            connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7265817)")
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    run(handed_over)
else:
    engine = migration_engine(Settings().database)
    with engine.begin() as own:
        run(own)
    engine.dispose()
