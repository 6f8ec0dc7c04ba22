"""What this installation recorded as a world to replay: its tasks, its accounts, its human's use.

A task's dollars are what its sessions used at list price, its speed those dollars over the minutes
in which it used any. Questions to the human are drawn, as in the made-up worlds: how long he took
is part of what happened, not of what would have happened under another policy.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session as Orm
from sqlmodel import col, select

from agents.registry import driver
from app.bench.simulator.load import WEEK_HOURS, Job, Plan, World
from app.models import Account, OutsideMinute, QuotaReading, Session, Task, UsageMinute
from app.services import capacity
from app.services.prices import equivalent_usd
from app.store import accounts, quota

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Recorded:
    """A world, and what had to be left out of it."""

    world: World
    left_out: list[str]  # sentences


def recorded(db: Orm, now: datetime) -> Recorded:
    """The recorded tasks from the Monday before the first one; ValueError where there are none."""
    left_out: list[str] = []
    tasks = list(db.exec(select(Task).order_by(col(Task.id))))
    spent = _spent(db)
    begun = [task for task in tasks if spent.get(task.id or 0)]
    if not begun:
        raise ValueError("Nothing was recorded yet: no task of this installation used any tokens.")
    start = _monday(min(task.created_at for task in begun))
    plans, ids, phases = _plans(db, start, left_out)
    if not plans:
        raise ValueError("No account has a known plan: `quarterdeck account set NAME --plan ...`.")
    families = {plan.family for plan in plans}
    jobs = [_job(db, task, spent[task.id or 0], start, families) for task in begun]
    hours = max(WEEK_HOURS, (now - start) / HOUR)
    human = _human(db, ids, start)
    return Recorded(World(hours, phases, tuple(jobs), human, plans), left_out)


def _spent(db: Orm) -> dict[int, tuple[float, int]]:
    """Dollars and busy minutes of each task; models without a price count no dollars."""
    rows = db.exec(select(Session.task_id, UsageMinute).where(UsageMinute.session_id == Session.id))
    dollars: dict[int, float] = defaultdict(float)
    minutes: dict[int, set[int]] = defaultdict(set)
    for task_id, row in rows:
        dollars[task_id] += _usd(row)
        minutes[task_id].add(row.minute)
    return {task_id: (usd, len(minutes[task_id])) for task_id, usd in dollars.items() if usd > 0}


def _usd(row: UsageMinute | OutsideMinute) -> float:
    usd = equivalent_usd(
        row.model,
        output=row.output_tokens,
        fresh_input=row.input_tokens,
        cache_write=row.cache_write_tokens,
        cache_read=row.cache_read_tokens,
    )
    return usd or 0.0


def _plans(
    db: Orm, start: datetime, left_out: list[str]
) -> tuple[tuple[Plan, ...], list[int], tuple[float, ...]]:
    """The accounts with a budget of known size, their ids, and when their weeks reset."""
    plans, ids, phases = [], [], []
    readings = quota.every(db)
    for account in accounts.every(db):
        own = [reading for reading in readings if reading.account_id == account.id]
        week = capacity.of_account(account, own).usd
        if not week:
            left_out.append(f"{account.name} is left out: nobody knows what a week of it holds.")
            continue
        plans.append(Plan(account.name, _family(account), week, _short(account, own, week)))
        ids.append(account.id or 0)
        phases.append(_phase(own, start))
    return tuple(plans), ids, tuple(phases)


def _short(account: Account, readings: Iterable[QuotaReading], week: float) -> float:
    """What the throttle holds; the whole week where there is none."""
    sizes = [
        capacity.of_window(account, reading).usd
        for reading in readings
        if reading.window_minutes and reading.window_minutes < 24 * 60
    ]
    return min((size for size in sizes if size), default=week)


def _phase(readings: Iterable[QuotaReading], start: datetime) -> float:
    """The hour of the first weekly reset after `start`."""
    resets = [r.resets_at for r in readings if r.resets_at and (r.window_minutes or 0) >= 24 * 60]
    hour = ((max(resets) - start) / HOUR) % WEEK_HOURS if resets else 0.0
    return hour or WEEK_HOURS


def _job(db: Orm, task: Task, spent: tuple[float, int], start: datetime, families: set[str]) -> Job:
    dollars, minutes = spent
    return Job(
        number=task.id or 0,
        at=(task.created_at - start) / HOUR,
        dollars=dollars,
        dollars_per_hour=dollars / (minutes / 60),
        family=_bound_to(db, task, families),
        seed=task.id or 0,
    )


def _bound_to(db: Orm, task: Task, families: set[str]) -> str | None:
    """The vendor that the human wanted for it, if he did."""
    if task.wanted_account_id is None:
        return None
    account = accounts.get(db, task.wanted_account_id)
    family = _family(account) if account else None
    return family if family in families else None


def _family(account: Account) -> str:
    return driver(account.driver).capabilities.family or account.driver


def _human(db: Orm, ids: list[int], start: datetime) -> tuple[tuple[float, int, float], ...]:
    """What was used outside of our sessions: hour, plan, dollars."""
    first = int(start.timestamp()) // 60
    hourly: dict[tuple[int, int], float] = defaultdict(float)
    for row in db.exec(select(OutsideMinute).where(OutsideMinute.minute >= first)):
        if row.account_id in ids:
            hourly[(row.minute - first) // 60, ids.index(row.account_id)] += _usd(row)
    return tuple((hour + 0.5, plan, usd) for (hour, plan), usd in sorted(hourly.items()))


def _monday(at: datetime) -> datetime:
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())
