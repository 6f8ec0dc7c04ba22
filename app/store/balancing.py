"""Queries on the balancer's decisions, and on the switches of the house."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import BalancerDecision, Preference, Session, Task, UsageMinute
from app.store.sessions import LIVE_STATES
from app.store.usage import Tokens


@dataclass
class Used:
    """What a session used of late, and when that began (unix time // 60)."""

    first_minute: int
    tokens: list[Tokens] = field(default_factory=list)  # by model


def get(db: Orm, decision_id: int) -> BalancerDecision | None:
    return db.get(BalancerDecision, decision_id)


def newest(db: Orm, limit: int) -> list[BalancerDecision]:
    """Newest first."""
    wanted = select(BalancerDecision).order_by(col(BalancerDecision.id).desc())
    return list(db.exec(wanted.limit(limit)))


def advised(db: Orm) -> list[BalancerDecision]:
    """Those that wait for a click, oldest first."""
    wanted = select(BalancerDecision).where(BalancerDecision.state == "advised")
    return list(db.exec(wanted.order_by(col(BalancerDecision.id))))


def refused(db: Orm, since: datetime) -> list[BalancerDecision]:
    """What the human dismissed or undid since then: he said no once."""
    wanted = select(BalancerDecision).where(
        col(BalancerDecision.state).in_(("dismissed", "undone")),
        col(BalancerDecision.settled_at) >= since,
    )
    return list(db.exec(wanted).all())


def moves_of(db: Orm, task_id: int, since: datetime) -> list[datetime]:
    """When the task's session was moved since then, oldest first."""
    wanted = select(col(BalancerDecision.at)).where(
        BalancerDecision.task_id == task_id,
        BalancerDecision.action == "move",
        BalancerDecision.state == "applied",
        col(BalancerDecision.at) >= since,
    )
    return list(db.exec(wanted.order_by(col(BalancerDecision.at))))


def last_seats(db: Orm) -> dict[int, BalancerDecision]:
    """The newest applied decision that gave an agent its account, by agent id."""
    gave = (
        col(BalancerDecision.state) == "applied",
        col(BalancerDecision.action).in_(("start", "move")),
        col(BalancerDecision.agent_id).is_not(None),
    )
    newest_ids = select(func.max(BalancerDecision.id)).where(*gave)
    ids = newest_ids.group_by(col(BalancerDecision.agent_id))
    rows = db.exec(select(BalancerDecision).where(col(BalancerDecision.id).in_(ids)))
    return {row.agent_id or 0: row for row in rows}


def settle(db: Orm, decision_id: int, was: Sequence[str], now: str, at: datetime) -> bool:
    """Compare and swap; False where the decision was in none of the states `was`."""
    statement = (
        update(BalancerDecision)
        .where(col(BalancerDecision.id) == decision_id, col(BalancerDecision.state).in_(was))
        .values(state=now, settled_at=at)
    )
    return bool(db.connection().execute(statement).rowcount == 1)


def preference(db: Orm, key: str) -> Any:
    """What the human set; None where he set nothing."""
    row = db.get(Preference, key)
    return row.value if row is not None else None


def set_preference(db: Orm, key: str, value: Any) -> None:
    db.merge(Preference(key=key, value=value))


def used_by_session(db: Orm, minute: int) -> dict[str, Used]:
    """What every session used from that minute (unix time // 60) on."""
    keys = (col(UsageMinute.session_id), col(UsageMinute.model))
    wanted = select(*keys, func.min(UsageMinute.minute), *_sums())
    wanted = wanted.where(col(UsageMinute.minute) >= minute).group_by(*keys)
    found: dict[str, Used] = {}
    for row in db.connection().execute(wanted):
        session_id, model, first = row[0], row[1], int(row[2])
        used = found.setdefault(session_id, Used(first))
        used.first_minute = min(used.first_minute, first)
        used.tokens.append(Tokens(model, *map(int, row[3:])))
    return found


def going_on(db: Orm) -> list[tuple[Session, Task]]:
    """Sessions that are live, or whose task waits for them, each with its task."""
    rows = select(Session, Task).join(Task, col(Task.id) == Session.task_id)
    is_live = col(Session.state).in_(LIVE_STATES)
    waits = (col(Session.state) != "ended") & col(Task.state).in_(("running", "queued"))
    rows = rows.where(is_live | waits, col(Session.ends).is_(False))
    return list(db.exec(rows.order_by(col(Session.created_at))).all())


def under_way(db: Orm) -> list[Session]:
    """Sessions at work on a running task, and the newest one of each task that is parked."""
    rows = select(Session, Task).join(Task, col(Task.id) == Session.task_id)
    rows = rows.where(col(Session.state) != "ended", col(Task.state).in_(("running", "parked")))
    newest: dict[int, Session] = {}
    for session, task in db.exec(rows.order_by(col(Session.created_at))):
        if task.state == "parked" or session.state in LIVE_STATES:
            newest[session.task_id] = session
    return list(newest.values())


def _sums() -> list[Any]:
    counters = (
        UsageMinute.output_tokens,
        UsageMinute.input_tokens,
        UsageMinute.cache_write_tokens,
        UsageMinute.cache_read_tokens,
    )
    return [func.sum(col(counter)) for counter in counters]
