"""Sums over both ledgers, our sessions' and other programs' logs, by time: what gauges draw."""

from typing import Any

from sqlalchemy import func, literal_column
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import OutsideMinute, UsageMinute
from app.models.quota import SAMPLE_SECONDS
from app.store.usage import Tokens, sums

_LEDGERS: tuple[Any, ...] = (UsageMinute, OutsideMinute)
_SLOT_MINUTES = SAMPLE_SECONDS // 60
WEEK_HOURS = 168
MONDAY = 72  # unix time began on a Thursday: hours from then to the first Monday


def by_slot(db: Orm, account_id: int, first_slot: int) -> dict[int, list[Tokens]]:
    """What an account spent in each five minutes (slot) from one on, by model."""
    spent: dict[int, list[Tokens]] = {}
    for table in _LEDGERS:
        slot = _divided(table.minute, _SLOT_MINUTES)
        wanted = (
            select(slot, table.model, *sums(table))
            .where(table.account_id == account_id, table.minute >= first_slot * _SLOT_MINUTES)
            .group_by(slot, table.model)
        )
        for at, *tokens in db.exec(wanted):
            spent.setdefault(at, []).append(Tokens(*tokens))
    return spent


def output_by_bucket(
    db: Orm, first_minute: int, last_minute: int, bucket_minutes: int
) -> dict[int, dict[int, int]]:
    """Output tokens by account, then by bucket (minute // bucket_minutes), of both ledgers."""
    found: dict[int, dict[int, int]] = {}
    for table in _LEDGERS:
        bucket = _divided(table.minute, bucket_minutes)
        wanted = (
            select(table.account_id, bucket, func.sum(table.output_tokens))
            .where(table.minute >= first_minute, table.minute <= last_minute)
            .group_by(table.account_id, bucket)
        )
        for account_id, at, output in db.exec(wanted):
            series = found.setdefault(account_id, {})
            series[at] = series.get(at, 0) + int(output)
    return found


def by_hour_of_week(
    db: Orm, first_minute: int, last_minute: int
) -> dict[int, dict[int, list[Tokens]]]:
    """What each account spent by hour of the week in UTC (0: Monday 00:00 to 01:00), by model."""
    found: dict[int, dict[int, list[Tokens]]] = {}
    for table in _LEDGERS:
        monday: Any = literal_column(str(MONDAY))
        hour = (_divided(table.minute, 60) + monday) % literal_column(str(WEEK_HOURS))
        wanted = (
            select(table.account_id, hour, table.model, *sums(table))
            .where(table.minute >= first_minute, table.minute <= last_minute)
            .group_by(table.account_id, hour, table.model)
        )
        for account_id, at, *tokens in db.exec(wanted):
            hours = found.setdefault(account_id, {})
            hours.setdefault(at, []).append(Tokens(*tokens))
    return found


def first_minutes(db: Orm) -> dict[int, int]:
    """The first minute of which anything is known, by account."""
    found: dict[int, int] = {}
    for table in _LEDGERS:
        wanted = select(table.account_id, func.min(table.minute)).group_by(table.account_id)
        for account_id, minute in db.exec(wanted):
            found[account_id] = min(minute, found.get(account_id, minute))
    return found


def since(db: Orm, first_minute: int) -> list[tuple[int, Tokens]]:
    """What our sessions used from a minute on: (minute, tokens), by model."""
    wanted = (
        select(col(UsageMinute.minute), col(UsageMinute.model), *sums(UsageMinute))
        .where(col(UsageMinute.minute) >= first_minute)
        .group_by(col(UsageMinute.minute), col(UsageMinute.model))
    )
    return [(minute, Tokens(*tokens)) for minute, *tokens in db.exec(wanted)]


def _divided(column: Any, by: int) -> Any:
    """Whole division; the number is ours and stands in the text, since it is grouped by."""
    return column.op("/")(literal_column(str(int(by))))
