"""What goes back to its author because it conflicts, and what becomes of it then."""

from pathlib import Path

import pytest

from app.models import MergeRequest, Session
from app.services import reviews, verdicts
from app.services.context import Context
from tests.app.services.desk import Desk
from tests.app.services.yard import git


@pytest.fixture
def desk(ctx: Context, tmp_path: Path) -> Desk:
    return Desk(ctx, tmp_path / "ship")


def test_what_conflicts_no_more_can_be_decided_again(desk: Desk) -> None:
    """Its author did nothing; what it collided with was taken back from the base."""
    number = desk.offer("echo mine > a")
    desk.human_commits({"a": "theirs\n"})
    desk.preflight(number)
    request = desk.get(number)
    assert (request.state, "its author is merging it in" in request.state_reason) == (
        "conflicted",
        True,
    )
    git(desk.path, "revert", "--no-edit", "HEAD")
    desk.preflight(number, care="glance")
    request = desk.get(number)
    assert (request.state, request.state_reason, request.conflicts) == ("open", "", [])
    reviews.approve(desk.ctx, **desk.verdict(number))


def test_a_conflict_whose_author_is_gone_says_what_to_do(desk: Desk) -> None:
    number = desk.offer("echo mine > a")
    with desk.ctx.db.write() as db:
        db.get_one(Session, db.get_one(MergeRequest, number).session_id).state = "ended"
    reviews.reject(desk.ctx, **desk.verdict(number))
    desk.human_commits({"a": "theirs\n"})
    desk.preflight(desk.offer("echo x > x"))  # the base is known to have moved
    verdicts.undo_verdict(desk.ctx, merge_request_id=number)
    request = desk.get(number)
    assert request.state == "conflicted"
    assert request.state_reason == (
        "Conflicts with main, and its author's session is over: reject it and write a new task."
    )
    reviews.reject(desk.ctx, **desk.verdict(number))
