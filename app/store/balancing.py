"""Queries on the balancer's decisions, and on the switches of the house."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import BalancerDecision, Preference


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
