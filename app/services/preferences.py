"""Preferences: the switches that the human sets from the page, kept in the database."""

from typing import Any

from sqlmodel import Session as Orm

from app.services.context import Context
from app.store import balancing


def get(db: Orm, key: str, default: Any = None) -> Any:
    """The value that was set, or the default."""
    value = balancing.preference(db, key)
    return default if value is None else value


def put(ctx: Context, key: str, value: Any) -> None:
    """Set a switch; the value is plain JSON."""
    with ctx.db.write() as db:
        balancing.set_preference(db, key, value)
    ctx.publish("fleet", "accounts", "wake")
