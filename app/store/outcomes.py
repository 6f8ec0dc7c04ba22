"""Queries on how merge requests ended: the record's rows, and what is not in it yet."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Decision, MergeRequest, Outcome, Session
from app.store.rounds import CALLS

ENDED = ("merged", "rejected", "archived")


class Alike(NamedTuple):
    """So many pieces of work of one kind that ended in one way."""

    model: str
    label: str
    language: str
    area: str
    repository_id: int
    outcome: str
    is_reverted: bool
    pieces: int
    priced: int  # of which the price is known
    priced_usd: float


def alike(db: Orm, model: str | None = None) -> list[Alike]:
    """The whole record, or one model's, added up: there may be thousands of single ones."""
    keys: list[Any] = [getattr(Outcome, name) for name in Alike._fields[:7]]
    usd = col(Outcome.cost_usd)
    sums: list[Any] = [func.count(), func.count(usd), func.coalesce(func.sum(usd), 0.0)]
    wanted = select(*keys, *sums)
    if model is not None:
        wanted = wanted.where(Outcome.model == model)
    rows = db.connection().execute(wanted.group_by(*keys).order_by(*keys))
    return [Alike(*row) for row in rows]


def of_requests(db: Orm, ids: list[int]) -> dict[int, Outcome]:
    wanted = select(Outcome).where(col(Outcome.merge_request_id).in_(ids))
    return {row.merge_request_id: row for row in db.exec(wanted)}


def unwritten(db: Orm, limit: int) -> list[MergeRequest]:
    """Agents' requests that ended, or ended anew, since the record was written; oldest first."""
    wanted = select(MergeRequest).join(Outcome, isouter=True)
    is_new = col(Outcome.merge_request_id).is_(None)
    is_anew = col(Outcome.decided_at) != col(MergeRequest.decided_at)
    wanted = wanted.where(
        col(MergeRequest.state).in_(ENDED), col(MergeRequest.agent_id).is_not(None)
    )
    wanted = wanted.where(is_new | is_anew).order_by(col(MergeRequest.id))
    return list(db.exec(wanted.limit(limit)))


def ended_before(db: Orm, request: MergeRequest) -> datetime | None:
    """When the task's request before this one was decided; None for its first."""
    wanted = select(func.max(MergeRequest.decided_at))
    earlier = col(MergeRequest.id) < request.id
    return db.exec(wanted.where(MergeRequest.task_id == request.task_id, earlier)).one()


def calls(db: Orm, request: MergeRequest) -> list[tuple[str, datetime]]:
    """The verdicts that asked its author for another round, with their times, oldest first."""
    wanted = select(Decision.verb, Decision.created_at)
    wanted = wanted.where(Decision.subject == f"merge request {request.id}")
    return list(db.exec(wanted.where(col(Decision.verb).in_(CALLS)).order_by(col(Decision.id))))


def untrue(db: Orm) -> list[int]:
    """Ids in the record whose request is open again."""
    wanted = select(Outcome.merge_request_id).join(MergeRequest)
    return list(db.exec(wanted.where(col(MergeRequest.state).not_in(ENDED))))


def models(db: Orm) -> dict[tuple[str, str], str]:
    """The model that worked last, by (driver, model that the session was to have)."""
    wanted = select(Session.driver, Session.model, Outcome.model)
    wanted = wanted.join(MergeRequest, col(MergeRequest.session_id) == col(Session.id))
    wanted = wanted.join(Outcome, col(Outcome.merge_request_id) == col(MergeRequest.id))
    rows = db.exec(wanted.order_by(col(Outcome.decided_at)))
    return {(driver, wished): model for driver, wished, model in rows}


def forget(db: Orm, ids: list[int]) -> None:
    db.connection().execute(delete(Outcome).where(col(Outcome.merge_request_id).in_(ids)))


def landed_reverts(db: Orm) -> list[tuple[int, int]]:
    """(merge request, the one it took back), of what has landed."""
    wanted = select(MergeRequest.id, MergeRequest.reverts_id)
    wanted = wanted.where(MergeRequest.state == "merged", col(MergeRequest.reverts_id).is_not(None))
    return [(one or 0, other or 0) for one, other in db.exec(wanted)]


def reverted(db: Orm) -> set[int]:
    """Those that the record calls reverted."""
    return set(db.exec(select(Outcome.merge_request_id).where(col(Outcome.is_reverted))))
