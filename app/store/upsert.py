"""Insert, replace or add to, in bulk, in the dialect of whichever database it is."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Session as Orm


def upsert(
    db: Orm,
    table: type[Any],
    key: Sequence[str],
    rows: Sequence[dict[str, Any]],
    *,
    add: bool = False,
) -> None:
    """Insert rows of equal columns, or replace (with `add`: add to) what has their key."""
    if not rows:
        return
    dialect = db.get_bind().dialect.name
    hashable: Any = table  # every class is; mypy does not know it of type[Any]
    statement = _statement(dialect, hashable, tuple(key), tuple(rows[0]), add)
    db.connection().execute(statement, list(rows))


@cache
def _statement(
    dialect: str, table: type[Any], key: tuple[str, ...], columns: tuple[str, ...], add: bool
) -> Any:
    """Built once: the clocks and minutes of a busy fleet ask for it hundreds of times a second."""
    statement = (sqlite_insert if dialect == "sqlite" else postgres_insert)(table)
    told = statement.excluded
    new = {
        name: getattr(table, name) + told[name] if add else told[name]
        for name in columns
        if name not in key
    }
    return statement.on_conflict_do_update(index_elements=list(key), set_=new)
