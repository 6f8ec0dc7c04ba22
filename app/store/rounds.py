"""Queries on the rounds of merge requests."""

from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import Round

CALLS = ("request_changes", "send_back", "throw_out")  # verdicts that an author answers


def of_request(db: Orm, merge_request_id: int) -> list[Round]:
    """The first one first."""
    wanted = select(Round).where(Round.merge_request_id == merge_request_id)
    return list(db.exec(wanted.order_by(col(Round.number))))
