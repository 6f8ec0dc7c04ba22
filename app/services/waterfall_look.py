"""A minute as the waterfall sees it: which accounts could be used, and what the agents were in."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlmodel import Session as Orm

from app.models import Account, QuotaReading
from app.models.quota import WEEK_MINUTES
from app.services import capacity, clock, quota, quotas
from app.services.losses import Look, Share
from app.store import accounts, agents, tasks
from app.store import quota as readings

_BUSY = ("decoding", "tool")


def shares(db: Orm, now: datetime) -> tuple[dict[int, Share], list[int]]:
    """What each account holds for a minute, and why it could not be used; ids of unknown size."""
    told, rows = readings.by_account(db), accounts.every(db)
    closed = quotas.closed(db, rows, now)
    found, unknown = {}, []
    for account in rows:
        account_id = account.id or 0
        windows = told.get(account_id, [])
        week_usd = capacity.of_account(account, windows).usd
        if week_usd is None:
            unknown.append(account_id)
            continue
        held = week_usd / WEEK_MINUTES
        reserve = held * min(max(account.reserve_percent, 0.0), 100.0) / 100
        why = _why(account, windows, closed[account_id], now)
        found[account_id] = Share(capacity=held, reserve=reserve, why=why)
    return found, unknown


def look(
    db: Orm, minute: int, held: dict[int, Share], unknown: list[int], *, is_off: bool = False
) -> Look:
    """The minute (unix time // 60), nothing spent yet; `is_off`: nobody was there to use it."""
    if is_off:
        return Look({key: replace(share, why="off") for key, share in held.items()})
    waits, waited_for = _waits(db, minute)
    ours = {key: replace(share) for key, share in held.items()}
    return Look(ours, waits, waited_for, list(unknown))


def runnable(db: Orm) -> int:
    """Tasks that could begin now, had they an agent; filler waits for quota, not for agents."""
    waiting = [task for task in tasks.waiting(db) if not task.is_deferrable]
    needed = tasks.states(db, [task_id for task in waiting for task_id in task.after])
    return sum(
        all(needed.get(task_id) == "done" for task_id in task.after if task_id in needed)
        for task in waiting
    )


def _why(account: Account, windows: list[QuotaReading], closed: str, now: datetime) -> str:
    """The cause that keeps the account out of service, "" where it serves."""
    if account.login == "out":
        return "login"
    if closed:
        return "closed"
    general = [reading for reading in windows if not capacity.scope(reading.kind)]
    refused = [reading for reading in general if quota.is_refused(reading, now)]
    if any(capacity.is_budget(reading) for reading in [*refused, *_full(general, now)]):
        return "dry"
    if quota.refused_until(account, windows, now):
        return "refused"
    return "" if account.is_automatic else "manual"


def _full(windows: Iterable[QuotaReading], now: datetime) -> list[QuotaReading]:
    return [reading for reading in windows if (quota.used_percent(reading, now) or 0.0) >= 100.0]


def _waits(db: Orm, minute: int) -> tuple[dict[str, float], dict[int, float]]:
    """The parts of the agents' time by cause, and by the account whose quota was waited for.

    Together they are 1. Disabled agents count only for what still works there. The backlog is as
    it is now, so the minute should be the last one.
    """
    start = datetime.fromtimestamp(minute * 60, UTC)
    spans = clock.seconds(db, start, start + timedelta(minutes=1))
    waits: dict[str, float] = {}
    waited_for: dict[int, float] = {}
    idle = 0
    for agent in agents.every(db):
        for state, span in spans.get(agent.id or 0, {}).items():
            if state == "idle":
                idle += span if agent.is_enabled else 0
            elif state == "waiting_quota":
                waited_for[agent.account_id] = waited_for.get(agent.account_id, 0.0) + span
            else:
                cause = "fleet" if state in _BUSY else state
                waits[cause] = waits.get(cause, 0.0) + span
    waits["unplaced"] = min(idle, runnable(db) * clock.MINUTE_MS)
    waits["backlog"] = idle - waits["unplaced"]
    total = sum(waits.values()) + sum(waited_for.values())
    if not total:
        return {"fleet": 1.0}, {}
    return (
        {cause: part / total for cause, part in waits.items() if part},
        {account_id: part / total for account_id, part in waited_for.items() if part},
    )
