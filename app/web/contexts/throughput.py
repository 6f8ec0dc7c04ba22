"""The Throughput page: where leverage went, tokens over time, the week's hours, who spent what."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session as Orm

from app.errors import NotFound
from app.services import gauges, usage, waterfall
from app.services.context import Context
from app.services.memory import memory
from app.services.usage import Spent
from app.web import format as fmt
from app.web.contexts.windows import label

SPANS = ((1, "1 h"), (24, "24 h"), (168, "7 d"))  # hours looked back at
RANGES = (
    (60, 1, "1 h"),
    (360, 5, "6 h"),
    (1440, 15, "24 h"),
    (10080, 120, "7 d"),
)  # minutes, bucket
BYS = ("account", "agent", "model", "task")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TABLE_MINUTES, _TABLE_BUCKET = 1440, 120
_EXPIRED_WEEKS, _SPENT_ROWS = 5, 20
_DAY_HOURS = 24
_RUNGS = {
    "capacity": "paid for",
    "provisioned": "provisioned",
    "demanded": "demanded",
    "unblocked": "unblocked",
    "placed": "placed",
    "useful": "useful",
}
_WHO = {
    "vendor": "the vendor",
    "backlog": "the backlog",
    "you": "you",
    "balancer": "the balancer",
    "work": "the work itself",
    "fleet": "the fleet",
}


@dataclass(frozen=True)
class Loss:
    """Who can mend it, and what it was."""

    who: str
    usd_per_hour: float
    says: str


@dataclass(frozen=True)
class Rung:
    label: str
    usd_per_hour: float
    percent: float  # of the capacity
    lost: float  # percent of the capacity, since the rung above
    losses: list[Loss]  # the largest first
    says: str  # what the rung is, where it has no loss


@dataclass(frozen=True)
class Table:
    """Output tokens a minute, oldest first: a row for each bucket, a number for each account."""

    names: list[str]
    rows: list[tuple[str, list[int]]]


@dataclass(frozen=True)
class Lost:
    """A budget that reset with something left in it."""

    when: str
    account: str
    window: str
    used_percent: float
    usd: float | None


@dataclass(frozen=True)
class Throughput:
    hours: int
    by: str
    rungs: list[Rung]
    notes: list[str]  # what the waterfall leaves out
    tokens: Table
    heat: list[tuple[str, list[float | None]]]
    spent: list[Spent]
    expired: list[Lost]

    @property
    def span(self) -> str:
        return dict(SPANS)[self.hours]

    @property
    def expired_usd(self) -> float:
        """Of the budgets whose size is known."""
        return sum(row.usd or 0.0 for row in self.expired)


def one(ctx: Context, hours: int, by: str, now: datetime) -> Throughput:
    """The page for one of `SPANS` and one of `BYS`; NotFound for any other."""
    if hours not in dict(SPANS) or by not in BYS:
        raise NotFound("There is no such view of the throughput; choose one of its buttons.")
    since = now - timedelta(hours=hours)
    with ctx.db.read() as db:
        fall = _waterfall(db, hours, now)
        series = gauges.tokens(db, minutes=_TABLE_MINUTES, bucket_minutes=_TABLE_BUCKET, now=now)
        return Throughput(
            hours=hours,
            by=by,
            rungs=[_rung(rung, fall.rungs[0].usd_per_hour) for rung in fall.rungs],
            notes=_notes(fall, hours),
            tokens=_table(series),
            heat=list(zip(DAYS, gauges.heat(db, now), strict=True)),
            spent=usage.spent(db, by=by, since=since, until=now)[:_SPENT_ROWS],
            expired=[_lost(row) for row in gauges.expired(db, now - _EXPIRED_WEEKS * _WEEK)],
        )


_WEEK = timedelta(weeks=1)


def _waterfall(db: Orm, hours: int, now: datetime) -> waterfall.Waterfall:
    """Reads a row for each minute, so it is remembered: a week ten minutes long, a day for one."""
    key = int(now.timestamp()) // (600 if hours > _DAY_HOURS else 60)
    since = now - timedelta(hours=hours)

    def make() -> waterfall.Waterfall:
        return waterfall.measure(db, since, now)

    found: waterfall.Waterfall = memory(db).keep(("waterfall", hours), key, make)
    return found


def _rung(rung: waterfall.Rung, capacity: float) -> Rung:
    losses = [Loss(_WHO[loss.who], loss.usd_per_hour, loss.says) for loss in rung.losses[:3]]
    return Rung(
        label=_RUNGS[rung.name],
        usd_per_hour=rung.usd_per_hour,
        percent=rung.percent_of_capacity,
        lost=100 * rung.lost_usd_per_hour / capacity if capacity else 0.0,
        losses=losses,
        says="" if losses else rung.says or "nothing lost",
    )


def _notes(fall: waterfall.Waterfall, hours: int) -> list[str]:
    notes = []
    if fall.rungs and fall.measured_minutes < 60 * hours * 0.98:
        measured = fmt.left(timedelta(minutes=fall.measured_minutes))
        notes.append(f"Measured for {measured} of {dict(SPANS)[hours]}.")
    if fall.left_out:
        notes.append(f"Left out, since nobody knows what they hold: {', '.join(fall.left_out)}.")
    if fall.partial:
        notes.append(f"Some of their models have no known price: {', '.join(fall.partial)}.")
    return notes


def _table(series: gauges.Series) -> Table:
    starts = [datetime.fromtimestamp(start, UTC) for start in series.starts]
    return Table(
        names=[name for _, name, _ in series.accounts],
        rows=[
            (f"{start:%a %H:%M}", [rates[at] for _, _, rates in series.accounts])
            for at, start in enumerate(starts)
        ],
    )


def _lost(row: gauges.Expired) -> Lost:
    return Lost(
        when=f"{row.ended_at:%a %d %b %H:%M}",
        account=row.account,
        window=label(row.kind, None) if row.kind != "seven_day" else "week",
        used_percent=row.used_percent,
        usd=row.expired_usd,
    )
