"""Verdicts taken back, each kind; and what they leave behind."""

from pathlib import Path

import pytest

from app.errors import Conflict, Invalid
from app.git.run import run_git
from app.models import Message, Outcome
from app.services import outcomes, reviews, verdicts
from app.services.context import Context
from app.services.repositories import clones_of
from app.store import merge_requests, sessions
from tests.app.services.desk import Desk


@pytest.fixture
def desk(ctx: Context, tmp_path: Path) -> Desk:
    return Desk(ctx, tmp_path / "ship")


def messages(desk: Desk) -> list[Message]:
    with desk.ctx.db.read() as db:
        return sessions.queued_messages(db)


def test_an_approval_is_taken_back_with_its_conditions(desk: Desk) -> None:
    first, second = desk.offer("touch x"), desk.offer("touch y", care="glance")
    given = {"after": [first], "when_checks_pass": True}
    reviews.approve(desk.ctx, **desk.verdict(second), **given)
    verdicts.undo_verdict(desk.ctx, merge_request_id=second)
    request = desk.get(second)
    assert (request.state, request.approved_sha, request.decided_at) == ("open", "", None)
    assert (request.after, request.waits_for_check) == ([], False)
    assert desk.decisions("undo")[0].detail == {"was": "approved"}
    with pytest.raises(Conflict, match="no verdict to take back"):
        verdicts.undo_verdict(desk.ctx, merge_request_id=second)


def test_a_rejected_one_is_kept_and_comes_back(desk: Desk) -> None:
    number = desk.offer("echo x > x")
    reviews.reject(desk.ctx, **desk.verdict(number), reason="Not now.")
    request = desk.get(number)
    clones = clones_of(desk.ctx, desk.repository)
    kept = run_git(["rev-parse", "--verify", request.snapshot_ref], git_dir=clones.gate).text
    assert kept == request.head_sha
    assert (desk.task_of(number).state, desk.session_of(number).state) == ("cancelled", "ended")
    assert outcomes.settle(desk.ctx)
    desk.human_commits({"meanwhile": "m\n"})
    verdicts.undo_verdict(desk.ctx, merge_request_id=number)
    request = desk.get(number)
    assert (request.state, request.snapshot_ref, request.state_reason) == ("open", "", "")
    assert desk.task_of(number).state == "review"
    assert outcomes.settle(desk.ctx)
    with desk.ctx.db.read() as db:
        assert db.get(Outcome, number) is None
    desk.look(number, ticked=True)
    reviews.approve(desk.ctx, **desk.verdict(number))
    desk.settle()
    assert desk.files() >= {"x", "meanwhile"}


def test_changes_asked_for_are_unasked_until_the_author_heard(desk: Desk) -> None:
    number = desk.offer("echo x > x")
    comment = reviews.comment(desk.ctx, **desk.verdict(number), body="Why?", path="x", line=1)
    reviews.request_changes(desk.ctx, **desk.verdict(number), body="Explain.")
    assert len(messages(desk)) == 1
    verdicts.undo_verdict(desk.ctx, merge_request_id=number)
    assert (desk.states(number), messages(desk)) == (["open"], [])
    with desk.ctx.db.read() as db:
        assert not merge_requests.comments(db, number)[0].is_sent
    reviews.request_changes(desk.ctx, **desk.verdict(number), body="Explain.")
    assert comment.body in messages(desk)[0].text
    with desk.ctx.db.write() as db:
        db.get_one(Message, messages(desk)[0].id).state = "delivered"
    with pytest.raises(Conflict, match="told already"):
        verdicts.undo_verdict(desk.ctx, merge_request_id=number)


def test_a_merged_one_is_undone_by_its_revert(desk: Desk) -> None:
    number = desk.offer("echo x > x", care="glance")
    reviews.approve(desk.ctx, **desk.verdict(number))
    desk.settle()
    revert = verdicts.undo_verdict(desk.ctx, merge_request_id=number)
    assert (revert.reverts_id, desk.states(number)) == (number, ["merged"])
    again = verdicts.undo_verdict(desk.ctx, merge_request_id=number)
    assert again.id == revert.id
    desk.look(revert.id or 0, ticked=True)
    reviews.approve(desk.ctx, **desk.verdict(revert.id or 0))
    desk.settle()
    assert "x" not in desk.files()


def test_what_lands_just_now_is_undone_later(desk: Desk) -> None:
    number = desk.offer("touch x", care="glance")
    reviews.approve(desk.ctx, **desk.verdict(number))
    with desk.ctx.db.write() as db:
        merge_requests.change_state(db, number, ("approved",), "landing")
    with pytest.raises(Conflict, match="landing now"):
        verdicts.undo_verdict(desk.ctx, merge_request_id=number)


def test_changes_need_words_and_an_author(desk: Desk) -> None:
    number = desk.offer("touch x")
    with pytest.raises(Invalid, match="Say what should change"):
        reviews.request_changes(desk.ctx, **desk.verdict(number))
    reviews.reject(desk.ctx, **desk.verdict(number))
    with pytest.raises(Conflict, match="session is over"):
        reviews.request_changes(desk.ctx, **desk.verdict(number), body="Still.")
