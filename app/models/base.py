"""Column types and small helpers that every table shares."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python, whatever the database keeps; naive values are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone was stored: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


def unix_minute(at: datetime) -> int:
    """Whole minutes since 1970: what use is counted by."""
    return int(at.timestamp()) // 60


def day_start(at: datetime) -> datetime:
    """The last 00:00 UTC: what is limited by the day counts from there."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def time_field(**options: Any) -> Any:
    """A NOT NULL time that defaults to now."""
    return Field(default_factory=utc_now, sa_type=UtcDateTime, nullable=False, **options)


def optional_time_field(**options: Any) -> Any:
    return Field(default=None, sa_type=UtcDateTime, nullable=True, **options)


def json_field(factory: Any, **options: Any) -> Any:
    """A JSON column; replace the value to change it, in-place edits are not seen."""
    return Field(default_factory=factory, sa_type=JSON, nullable=False, **options)
