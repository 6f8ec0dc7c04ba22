"""Queries on checks: who asked, what runs, and what a tree's runs have answered so far.

A check that ran itself is a run; one that took another's result (`same_as_id`) is a copy.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import func, update
from sqlalchemy.orm import defer
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.errors import NotFound
from app.models import Batch, Check, MergeRequest
from app.store.merge_requests import OPEN_STATES

IN_FLIGHT = ("queued", "running")
_OPEN_BATCHES = ("building", "ready", "checking", "landing")
ANSWERS = ("passed", "failed")


def existing(db: Orm, check_id: int) -> Check:
    """The check, or NotFound."""
    check = db.get(Check, check_id)
    if check is None:
        raise NotFound(f"There is no check {check_id}; `quarterdeck check list` shows them.")
    return check


def in_flight(db: Orm) -> list[Check]:
    """Runs that wait or go on, oldest first; copies that wait for them are left out."""
    wanted = select(Check).where(col(Check.state).in_(IN_FLIGHT), col(Check.same_as_id).is_(None))
    return list(db.exec(wanted.order_by(col(Check.id))))


def runs(db: Orm, tree_sha: str, command: str) -> list[Check]:
    """Every run of a command on a tree, oldest first: the answers, and what is in flight."""
    wanted = select(Check).where(
        Check.tree_sha == tree_sha,
        Check.command == command,
        col(Check.same_as_id).is_(None),
        col(Check.state).in_((*IN_FLIGHT, *ANSWERS, "timeout")),
    )
    return list(db.exec(wanted.order_by(col(Check.id))))


def is_flaky(of_tree: Sequence[Check]) -> bool:
    """Whether the runs of one tree contradict each other."""
    return {"passed", "failed"} <= {run.state for run in of_tree}


def state_of_tree(db: Orm, tree_sha: str, command: str) -> str:
    """What is known of a tree: state of its newest run, "" where there is none."""
    return next((run.state for run in reversed(runs(db, tree_sha, command))), "")


def of_base(db: Orm, repository_id: int, base_sha: str, command: str) -> Check | None:
    """The newest answer on the very commit that a base is at: it landed, or a train asked for it.

    A request's own check has its branch's commit and a combined tree, so it says nothing of that.
    """
    wanted = select(Check).where(
        Check.repository_id == repository_id,
        Check.head_sha == base_sha,
        Check.command == command,
        col(Check.batch_id).is_not(None),
        col(Check.state).in_((*ANSWERS, "timeout")),
    )
    return db.exec(wanted.order_by(col(Check.id).desc()).limit(1)).first()


def of_request(db: Orm, merge_request_id: int, limit: int = 50) -> list[Check]:
    """Newest first."""
    wanted = select(Check).where(Check.merge_request_id == merge_request_id)
    return list(db.exec(wanted.order_by(col(Check.id).desc()).limit(limit)))


def newest_of_each(db: Orm, merge_request_ids: Collection[int]) -> dict[int, Check]:
    """The newest check of each request; what it printed is read only where it is asked for."""
    of = col(Check.merge_request_id)
    newest = select(func.max(Check.id)).where(of.in_(merge_request_ids)).group_by(of)
    wanted = select(Check).where(col(Check.id).in_(newest))
    rows = db.exec(wanted.options(defer(Check.output_tail)))  # type: ignore[arg-type]
    return {check.merge_request_id or 0: check for check in rows}


def newest_of(
    db: Orm, *, tree_sha: str, command: str, merge_request_id: int | None, batch_id: int | None
) -> Check | None:
    """The owner's check of this tree: of a request the newest of all, or none counts as asked."""
    wanted = select(Check).where(
        Check.merge_request_id == merge_request_id, Check.batch_id == batch_id
    )
    if batch_id is not None:  # it asks for several trees
        wanted = wanted.where(Check.tree_sha == tree_sha, Check.command == command)
    newest = db.exec(wanted.order_by(col(Check.id).desc()).limit(1)).first()
    is_same = newest is not None and (newest.tree_sha, newest.command) == (tree_sha, command)
    return newest if is_same else None


def copies(db: Orm, check_id: int) -> list[Check]:
    """Those of other owners that wait for this run's answer."""
    wanted = select(Check).where(Check.same_as_id == check_id, Check.state == "queued")
    return list(db.exec(wanted.order_by(col(Check.id))))


def is_needed(db: Orm, check: Check) -> bool:
    """Whether its owner still waits for an answer on this very tree."""
    if check.batch_id is not None:
        batch = db.get(Batch, check.batch_id)
        is_open = batch is not None and batch.state in _OPEN_BATCHES
        return is_open or (check.head_sha == check.base_sha and _holds_up(db, check))
    request = db.get(MergeRequest, check.merge_request_id or 0)
    return (
        request is not None and request.state in OPEN_STATES and request.tree_sha == check.tree_sha
    )


def _holds_up(db: Orm, of_base: Check) -> bool:
    """Whether approved requests wait because the base that it checked fails by itself."""
    wanted = select(MergeRequest.id).where(
        MergeRequest.repository_id == of_base.repository_id,
        MergeRequest.base_sha == of_base.base_sha,
        MergeRequest.state == "approved",
    )
    return db.exec(wanted.limit(1)).first() is not None


def change_state(db: Orm, check_id: int, was: Sequence[str], now: str, **more: object) -> bool:
    """Compare and swap; False where it was in none of the states `was`."""
    statement = (
        update(Check)
        .where(col(Check.id) == check_id, col(Check.state).in_(was))
        .values(state=now, **more)
    )
    return bool(db.connection().execute(statement).rowcount == 1)
