"""Queries on the ledger and the balancer's decisions, page by page."""

from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import BalancerDecision, Decision


def page(db: Orm, since: datetime | None, after_id: int, limit: int) -> list[Decision]:
    """The ledger's rows behind `after_id`, oldest first."""
    wanted = select(Decision).where(col(Decision.id) > after_id)
    if since is not None:
        wanted = wanted.where(col(Decision.created_at) >= since)
    return list(db.exec(wanted.order_by(col(Decision.id)).limit(limit)))


def newest_id(db: Orm) -> int:
    """The id of the ledger's last row; 0 where it is empty."""
    return db.exec(select(func.max(Decision.id))).one() or 0


def newest(db: Orm, subject: str, *verbs: str, since: datetime | None = None) -> Decision | None:
    """The newest decision on a subject with one of these verbs."""
    wanted = select(Decision).where(Decision.subject == subject, col(Decision.verb).in_(verbs))
    if since is not None:
        wanted = wanted.where(col(Decision.created_at) >= since)
    return db.exec(wanted.order_by(col(Decision.id).desc()).limit(1)).first()


def balancer_page(
    db: Orm, since: datetime | None, after_id: int, limit: int
) -> list[BalancerDecision]:
    """The balancer's rows behind `after_id`, oldest first."""
    wanted = select(BalancerDecision).where(col(BalancerDecision.id) > after_id)
    if since is not None:
        wanted = wanted.where(col(BalancerDecision.at) >= since)
    return list(db.exec(wanted.order_by(col(BalancerDecision.id)).limit(limit)))
