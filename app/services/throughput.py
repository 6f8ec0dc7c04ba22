"""Throughput over time: tokens a minute by account, the week's heat map, what expired unused."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session as Orm

from app.models import QuotaEnd
from app.models.base import unix_minute
from app.services import capacity
from app.services.memory import memory
from app.services.prices import equivalent
from app.store import accounts
from app.store import gauges as ledgers
from app.store import quota as readings
from app.store.gauges import MONDAY, WEEK_HOURS

MOST_MINUTES = 35 * 24 * 60
MOST_BUCKETS = 2000

Grid = list[list[float | None]]


@dataclass(frozen=True)
class Series:
    """Output tokens a minute, ours and those of imported logs, averaged over buckets of time."""

    starts: list[int]  # unix seconds at which each bucket begins, oldest first
    accounts: list[tuple[int, str, list[int]]]  # id, name, tokens a minute in each bucket
    bucket_minutes: int


@dataclass(frozen=True)
class Expired:
    """A budget that has reset: what of it nobody used, the human's reserve included."""

    account_id: int
    account: str
    kind: str
    ended_at: datetime
    used_percent: float  # of the last reading before the end: it may have been more
    capacity_usd: float | None
    expired_usd: float | None  # capacity x (100 % - used); None where the capacity is unknown
    read_hours_before: float | None  # age of that reading at the end; None: not kept any more


def tokens(db: Orm, *, minutes: int, bucket_minutes: int, now: datetime) -> Series:
    """The last minutes in buckets; accounts without a token in them are left out.

    Buckets begin at whole multiples of their length; the present one counts the time it has had.
    """
    minutes = min(max(minutes, 1), MOST_MINUTES)
    width = max(bucket_minutes, 1, -(-minutes // MOST_BUCKETS))
    present = unix_minute(now)
    first, last = (present - minutes + 1) // width, present // width
    found = ledgers.output_by_bucket(db, first * width, present, width)
    # The minute that runs counts as whole: a rate must not jump with each second.
    spans = [width] * (last - first) + [present - last * width + 1]
    rows = []
    for account in sorted(accounts.every(db), key=lambda row: (row.rank, row.name)):
        outputs = found.get(account.id or 0)
        if outputs:
            counts = [outputs.get(first + n, 0) for n in range(len(spans))]
            rates = [round(count / span) for count, span in zip(counts, spans, strict=True)]
            rows.append((account.id or 0, account.name, rates))
    starts = [(first + n) * width * 60 for n in range(len(spans))]
    return Series(starts, rows, width)


def heat(db: Orm, now: datetime, *, account_id: int | None = None, weeks: int = 4) -> Grid:
    """Seven days (Monday first) of 24 hours in UTC: the share of those hours' capacity used.

    Dollars spent, ours and imported, by a week's capacity / 168. May exceed 1: capacity is spread
    evenly, work is not. None: no such hour since the account was added, or its capacity is not
    known. At most a minute old.
    """
    weeks = min(max(weeks, 1), 5)
    key = (unix_minute(now), weeks)

    def make() -> Grid:
        return _heat(db, now, account_id, weeks)

    found: Grid = memory(db).keep(("heat", account_id), key, make)
    return found


def expired(db: Orm, since: datetime) -> list[Expired]:
    """Budgets that reset since a moment, newest first; those of some models only are left out."""
    names = {account.id: account.name for account in accounts.every(db)}
    return [
        _expired(db, end, names.get(end.account_id, ""))
        for end in readings.ends(db, since)
        if not capacity.scope(end.kind)
    ]


def _expired(db: Orm, end: QuotaEnd, name: str) -> Expired:
    last = readings.last_sample(db, end.account_id, end.kind, end.ended_at)
    age = (end.ended_at - last.observed_at).total_seconds() / 3600 if last else None
    held = end.capacity_usd
    return Expired(
        account_id=end.account_id,
        account=name,
        kind=end.kind,
        ended_at=end.ended_at,
        used_percent=end.used_percent,
        capacity_usd=held,
        expired_usd=held * (100.0 - end.used_percent) / 100 if held is not None else None,
        read_hours_before=age,
    )


def _heat(db: Orm, now: datetime, account_id: int | None, weeks: int) -> Grid:
    since = now - timedelta(weeks=weeks)
    first, last = unix_minute(since), unix_minute(now)
    spent = ledgers.by_hour_of_week(db, first, last)
    firsts = {key: _time(minute) for key, minute in ledgers.first_minutes(db).items()}
    told = readings.by_account(db)
    dollars, could = [0.0] * WEEK_HOURS, [0.0] * WEEK_HOURS
    for account in accounts.every(db):
        key = account.id or 0
        held = capacity.of_account(account, told.get(key, [])).usd
        if held is None or account_id not in (None, key):
            continue
        for hour, used in spent.get(key, {}).items():
            dollars[hour] += equivalent(used).usd or 0.0
        # Imported logs may be older than the account's row.
        known = min(account.created_at, firsts.get(key, account.created_at))
        for hour, hours in _hours(max(known, since), now).items():
            could[hour] += hours * held / WEEK_HOURS
    cells = [used / most if most else None for used, most in zip(dollars, could, strict=True)]
    return [cells[day * 24 : day * 24 + 24] for day in range(7)]


def _hours(since: datetime, now: datetime) -> dict[int, float]:
    """How many hours of each hour of the week there were."""
    found: dict[int, float] = {}
    at, end = since.timestamp() / 3600, now.timestamp() / 3600
    while at < end:
        until = min(float(int(at) + 1), end)
        hour = (int(at) + MONDAY) % WEEK_HOURS
        found[hour] = found.get(hour, 0.0) + until - at
        at = until
    return found


def _time(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
