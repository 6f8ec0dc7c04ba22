"""Queries on merge requests, their comments and landings, and the decision ledger."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import or_, update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.errors import NotFound
from app.models import Check, Comment, Decision, Landing, MergeRequest
from app.models.base import utc_now

OPEN_STATES = ("open", "approved", "landing", "conflicted", "changes_requested")
# what becomes of these is open still; a landing one is the base's already
MOVABLE_STATES = tuple(state for state in OPEN_STATES if state != "landing")
DROPPED_STATES = ("rejected", "withdrawn", "archived")  # over, and never merged


def get(db: Orm, merge_request_id: int) -> MergeRequest | None:
    return db.get(MergeRequest, merge_request_id)


def existing(db: Orm, merge_request_id: int) -> MergeRequest:
    """The merge request, or NotFound."""
    request = db.get(MergeRequest, merge_request_id)
    if request is None:
        raise NotFound(
            f"There is no merge request {merge_request_id}; `quarterdeck review list` shows them."
        )
    return request


def open_ones(db: Orm, repository_id: int | None = None) -> list[MergeRequest]:
    """Oldest first."""
    wanted = select(MergeRequest).where(col(MergeRequest.state).in_(OPEN_STATES))
    if repository_id is not None:
        wanted = wanted.where(MergeRequest.repository_id == repository_id)
    return list(db.exec(wanted.order_by(col(MergeRequest.id))))


def movable(db: Orm) -> list[MergeRequest]:
    """Open ones that are not about to be the base, oldest first."""
    wanted = select(MergeRequest).where(col(MergeRequest.state).in_(MOVABLE_STATES))
    return list(db.exec(wanted.order_by(col(MergeRequest.id))))


def heads(db: Orm, ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """(head, state) of these, by id."""
    wanted = select(MergeRequest.id, MergeRequest.head_sha, MergeRequest.state)
    rows = db.exec(wanted.where(col(MergeRequest.id).in_(set(ids))))
    return {number or 0: (head_sha, state) for number, head_sha, state in rows}


def approved(db: Orm, repository_id: int | None = None) -> list[MergeRequest]:
    """Those that wait for their landing, oldest first."""
    wanted = select(MergeRequest).where(MergeRequest.state == "approved")
    if repository_id is not None:
        wanted = wanted.where(MergeRequest.repository_id == repository_id)
    return list(db.exec(wanted.order_by(col(MergeRequest.id))))


def closed(db: Orm, limit: int = 50) -> list[MergeRequest]:
    """Newest first."""
    wanted = select(MergeRequest).where(col(MergeRequest.state).not_in(OPEN_STATES))
    return list(db.exec(wanted.order_by(col(MergeRequest.id).desc()).limit(limit)))


def not_closed_before(db: Orm, moment: datetime) -> list[int]:
    """The ids of those that are open, or were until then."""
    wanted = select(MergeRequest.id).where(
        or_(col(MergeRequest.state).in_(OPEN_STATES), col(MergeRequest.updated_at) >= moment)
    )
    return [number for number in db.exec(wanted) if number is not None]


def of_task(db: Orm, task_id: int) -> MergeRequest | None:
    """The newest one."""
    wanted = select(MergeRequest).where(MergeRequest.task_id == task_id)
    return db.exec(wanted.order_by(col(MergeRequest.id).desc()).limit(1)).first()


def revert_of(db: Orm, merge_request_id: int) -> MergeRequest | None:
    """The newest request that takes this one back."""
    wanted = select(MergeRequest).where(MergeRequest.reverts_id == merge_request_id)
    return db.exec(wanted.order_by(col(MergeRequest.id).desc()).limit(1)).first()


def change_state(
    db: Orm, merge_request_id: int, was: Sequence[str], now: str, **more: object
) -> bool:
    """Compare and swap; False where it was in none of the states `was`."""
    statement = (
        update(MergeRequest)
        .where(col(MergeRequest.id) == merge_request_id, col(MergeRequest.state).in_(was))
        .values(state=now, updated_at=utc_now(), **more)
    )
    return bool(db.connection().execute(statement).rowcount == 1)


def take_back(db: Orm, merge_request_id: int, was: Sequence[str], now: str, reason: str) -> bool:
    """The same, and nothing of an approval is left, its conditions neither."""
    gone = {"approved_sha": "", "is_forced": False, "after": [], "waits_for_check": False}
    return change_state(db, merge_request_id, was, now, state_reason=reason, **gone)


def latest_check(db: Orm, merge_request_id: int) -> Check | None:
    wanted = select(Check).where(Check.merge_request_id == merge_request_id)
    return db.exec(wanted.order_by(col(Check.id).desc()).limit(1)).first()


def comments(db: Orm, merge_request_id: int) -> list[Comment]:
    wanted = select(Comment).where(Comment.merge_request_id == merge_request_id)
    return list(db.exec(wanted.order_by(col(Comment.id))))


def landings_in(db: Orm, states: Sequence[str]) -> list[Landing]:
    wanted = select(Landing).where(col(Landing.state).in_(states))
    return list(db.exec(wanted.order_by(col(Landing.id))))


def landing_of(db: Orm, merge_request_id: int) -> Landing | None:
    wanted = select(Landing).where(
        Landing.merge_request_id == merge_request_id, Landing.state != "void"
    )
    return db.exec(wanted.order_by(col(Landing.id).desc()).limit(1)).first()


def decisions(db: Orm, subject: str | None = None, limit: int = 200) -> list[Decision]:
    """Newest first."""
    wanted = select(Decision)
    if subject is not None:
        wanted = wanted.where(Decision.subject == subject)
    return list(db.exec(wanted.order_by(col(Decision.id).desc()).limit(limit)))
