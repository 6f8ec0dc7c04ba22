"""Queries on moves: decided, and not carried out yet."""

from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import BalancerDecision, Session, Task


def pending(db: Orm, agent_id: int | None = None) -> list[BalancerDecision]:
    """Moves that wait for their agent's turn to end, oldest first."""
    wanted = select(BalancerDecision).where(
        BalancerDecision.action == "move",
        BalancerDecision.state == "applied",
        col(BalancerDecision.settled_at).is_(None),
        col(BalancerDecision.agent_id).is_not(None),
    )
    if agent_id is not None:
        wanted = wanted.where(BalancerDecision.agent_id == agent_id)
    return list(db.exec(wanted.order_by(col(BalancerDecision.id))))


def work_of(db: Orm, agent_id: int) -> list[tuple[Session, Task]]:
    """The agent's sessions that are not over, with their tasks, newest first."""
    rows = select(Session, Task).join(Task, col(Task.id) == Session.task_id)
    wanted = rows.where(Session.agent_id == agent_id, Session.state != "ended")
    return [(s, t) for s, t in db.exec(wanted.order_by(col(Session.created_at).desc()))]
