"""Queries on merge requests, checks, comments, landings and the decision ledger."""

from collections.abc import Sequence

from sqlalchemy import update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Check, Comment, Decision, Landing, MergeRequest
from app.models.base import utc_now

OPEN_STATES = ("open", "approved", "landing", "conflicted", "changes_requested")


def get(db: Orm, merge_request_id: int) -> MergeRequest | None:
    return db.get(MergeRequest, merge_request_id)


def open_ones(db: Orm, repository_id: int | None = None) -> list[MergeRequest]:
    """Oldest first."""
    wanted = select(MergeRequest).where(col(MergeRequest.state).in_(OPEN_STATES))
    if repository_id is not None:
        wanted = wanted.where(MergeRequest.repository_id == repository_id)
    return list(db.exec(wanted.order_by(col(MergeRequest.id))))


def closed(db: Orm, limit: int = 50) -> list[MergeRequest]:
    """Newest first."""
    wanted = select(MergeRequest).where(col(MergeRequest.state).not_in(OPEN_STATES))
    return list(db.exec(wanted.order_by(col(MergeRequest.id).desc()).limit(limit)))


def of_task(db: Orm, task_id: int) -> MergeRequest | None:
    """The newest one."""
    wanted = select(MergeRequest).where(MergeRequest.task_id == task_id)
    return db.exec(wanted.order_by(col(MergeRequest.id).desc()).limit(1)).first()


def revert_of(db: Orm, merge_request_id: int) -> MergeRequest | None:
    """The newest request that takes this one back."""
    wanted = select(MergeRequest).where(MergeRequest.reverts_id == merge_request_id)
    return db.exec(wanted.order_by(col(MergeRequest.id).desc()).limit(1)).first()


def change_state(db: Orm, merge_request_id: int, was: Sequence[str], now: str, **more: str) -> bool:
    """Compare and swap; False where it was in none of the states `was`."""
    statement = (
        update(MergeRequest)
        .where(col(MergeRequest.id) == merge_request_id, col(MergeRequest.state).in_(was))
        .values(state=now, updated_at=utc_now(), **more)
    )
    return bool(db.connection().execute(statement).rowcount == 1)


def latest_check(db: Orm, merge_request_id: int) -> Check | None:
    wanted = select(Check).where(Check.merge_request_id == merge_request_id)
    return db.exec(wanted.order_by(col(Check.id).desc()).limit(1)).first()


def latest_checks(db: Orm, merge_request_ids: Sequence[int]) -> dict[int, Check]:
    """The newest check of each, by merge request id."""
    wanted = select(Check).where(col(Check.merge_request_id).in_(merge_request_ids))
    return {check.merge_request_id or 0: check for check in db.exec(wanted.order_by(col(Check.id)))}


def checks_in(db: Orm, states: Sequence[str]) -> list[Check]:
    return list(db.exec(select(Check).where(col(Check.state).in_(states)).order_by(col(Check.id))))


def passed_check(db: Orm, tree_sha: str, command: str) -> Check | None:
    """A passed check of the very same tree by the very same command."""
    wanted = select(Check).where(
        Check.tree_sha == tree_sha, Check.command == command, Check.state == "passed"
    )
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
