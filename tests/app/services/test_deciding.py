"""What a verdict needs: a look as its care level asks, on the very commit, under conditions."""

from pathlib import Path

import pytest

from app.errors import Conflict, Invalid, NotFound, NotSeen
from app.models import MergeRequest
from app.services import refreshing, reviews, seen
from app.services.context import Context
from tests.app import factories
from tests.app.services.desk import Desk

WRITE = "echo one > one; echo two > two"


@pytest.fixture
def desk(ctx: Context, tmp_path: Path) -> Desk:
    return Desk(ctx, tmp_path / "ship")


def test_a_glance_is_free(desk: Desk) -> None:
    number = desk.offer(WRITE, care="glance")
    reviews.approve(desk.ctx, **desk.verdict(number), bulk=True)
    assert desk.states(number) == ["approved"]


@pytest.mark.parametrize("care", ["read", ""])
def test_what_is_to_be_read_has_to_be_shown(desk: Desk, care: str) -> None:
    number = desk.offer(WRITE, care=care)
    for bulk in (False, True):
        with pytest.raises(NotSeen, match="one, two not shown yet") as refused:
            reviews.approve(desk.ctx, **desk.verdict(number), bulk=bulk)
    assert (refused.value.care, refused.value.missing) == ("read", ("one", "two"))
    desk.look(number, "two")
    assert desk.gate(number).missing == ("one",)
    desk.look(number)
    reviews.approve(desk.ctx, **desk.verdict(number), bulk=True)
    assert desk.states(number) == ["approved"]


def test_what_is_to_be_studied_has_to_be_ticked_and_never_goes_in_bulk(desk: Desk) -> None:
    number = desk.offer(WRITE, care="study")
    desk.look(number)
    with pytest.raises(NotSeen, match="one, two not ticked yet"):
        reviews.approve(desk.ctx, **desk.verdict(number))
    desk.look(number, "one", ticked=True)
    desk.look(number, "two", ticked=True)
    desk.look(number)  # a second look takes no tick back
    assert desk.gate(number).states == {"one": "ticked", "two": "ticked"}
    with pytest.raises(NotSeen, match="never approved in bulk"):
        reviews.approve(desk.ctx, **desk.verdict(number), bulk=True)
    seen.untick(desk.ctx, **desk.verdict(number), paths=["two"])
    assert desk.gate(number).states == {"one": "ticked", "two": "shown"}
    with pytest.raises(NotSeen, match="two not ticked yet"):
        reviews.approve(desk.ctx, **desk.verdict(number), force=True)
    desk.look(number, ticked=True)
    reviews.approve(desk.ctx, **desk.verdict(number))


def test_the_same_change_is_not_news_in_another_request(desk: Desk) -> None:
    first, second = desk.offer(WRITE), desk.offer("echo one > one; echo three > three")
    desk.look(first, ticked=True)
    assert desk.gate(second).states == {"one": "ticked", "three": "new"}


def test_nothing_is_seen_of_a_file_that_is_not_in_it(desk: Desk) -> None:
    number = desk.offer(WRITE)
    with pytest.raises(NotFound, match="a is not changed"):
        desk.look(number, "one", "a")
    with pytest.raises(NotFound, match="not computed yet"):
        seen.note(desk.ctx, merge_request_id=number, head_sha="f" * 40)
    with pytest.raises(NotFound, match="no merge request 99"):
        reviews.approve(desk.ctx, merge_request_id=99, head_sha="f" * 40)


def test_a_diff_that_is_not_computed_cannot_be_approved(ctx: Context) -> None:
    repository = factories.repository(ctx)
    request = factories.merge_request(ctx, None, factories.task(ctx, repository), care="read")
    with pytest.raises(Conflict, match="not computed yet"):
        reviews.approve(ctx, merge_request_id=request.id or 0, head_sha=request.head_sha)


def test_an_approval_after_the_tree_changed_is_refused_with_what_changed(desk: Desk) -> None:
    number = desk.offer(WRITE)
    desk.look(number)
    looked_at = desk.verdict(number)
    desk.renew(number, "echo 2 > two; echo four > four")
    for decide in (reviews.approve, reviews.reject, reviews.request_changes):
        with pytest.raises(Conflict, match=r"new commits since you looked.*four, two changed\."):
            decide(desk.ctx, **looked_at)
    assert desk.gate(number).states == {"four": "new", "one": "shown", "two": "changed"}
    with pytest.raises(NotSeen, match="four, two not shown"):
        reviews.approve(desk.ctx, **desk.verdict(number))


def test_a_failed_check_is_answered_by_force_or_by_waiting(desk: Desk) -> None:
    number = desk.offer("touch bad", care="glance")
    desk.run_checks()
    with pytest.raises(Conflict, match="Its check failed"):
        reviews.approve(desk.ctx, **desk.verdict(number))
    with pytest.raises(Invalid, match="not both"):
        reviews.approve(desk.ctx, **desk.verdict(number), force=True, when_checks_pass=True)
    reviews.approve(desk.ctx, **desk.verdict(number), when_checks_pass=True)
    assert (desk.get(number).waits_for_check, desk.get(number).is_forced) == (True, False)
    desk.settle()
    assert desk.states(number) == ["approved"]


def test_after_names_what_has_to_land_first(desk: Desk) -> None:
    first, second, third = (desk.offer(f"touch {name}", care="glance") for name in "xyz")
    with pytest.raises(Invalid, match="after itself"):
        reviews.approve(desk.ctx, **desk.verdict(first), after=[first])
    with pytest.raises(NotFound):
        reviews.approve(desk.ctx, **desk.verdict(first), after=[99])
    reviews.approve(desk.ctx, **desk.verdict(second), after=[first, first])
    reviews.approve(desk.ctx, **desk.verdict(third), after=[second])
    assert (desk.get(second).after, desk.get(third).after) == ([first], [second])
    with pytest.raises(Conflict, match=f"#{third} itself lands after #{first}"):
        reviews.approve(desk.ctx, **desk.verdict(first), after=[third])
    reviews.approve(desk.ctx, **desk.verdict(first))
    desk.settle()
    assert desk.states(first, second, third) == ["merged"] * 3


def test_what_waits_for_the_rejected_goes_back_to_the_human(desk: Desk) -> None:
    first, second = desk.offer("touch x"), desk.offer("touch y", care="glance")
    reviews.approve(desk.ctx, **desk.verdict(second), after=[first])
    reviews.reject(desk.ctx, **desk.verdict(first))
    stranded = desk.get(second)
    assert (stranded.state, stranded.after, stranded.approved_sha) == ("open", [], "")
    assert f"#{first}, which is rejected" in stranded.state_reason
    with pytest.raises(Conflict, match="nothing can wait for it"):
        reviews.approve(desk.ctx, **desk.verdict(second), after=[first])


def test_of_an_approval_that_is_taken_back_no_condition_is_left(desk: Desk) -> None:
    first, second = desk.offer("touch x"), desk.offer("touch y", care="glance")
    reviews.approve(desk.ctx, **desk.verdict(second), after=[first], when_checks_pass=True)
    refreshing.hold(desk.ctx, second, "Its commit is gone.")
    held = desk.get(second)
    assert (held.state, held.after, held.waits_for_check) == ("open", [], False)


def test_nothing_waits_for_what_lands_elsewhere(desk: Desk) -> None:
    first, second = desk.offer("touch x"), desk.offer("touch y", care="glance")
    with desk.ctx.db.write() as db:
        db.get_one(MergeRequest, first).base_branch = "next"
    with pytest.raises(Invalid, match="another base"):
        reviews.approve(desk.ctx, **desk.verdict(second), after=[first])


def test_the_ledger_knows_on_which_evidence(desk: Desk) -> None:
    number = desk.offer(WRITE, care="study")
    desk.run_checks()
    desk.look(number, "one", "two", ticked=True)
    reviews.approve(desk.ctx, **desk.verdict(number), when_checks_pass=True)
    row = desk.decisions("approve")[0]
    request = desk.get(number)
    assert (row.sha, row.tree_sha, row.actor) == (request.head_sha, request.tree_sha, "human")
    assert row.detail["when_checks_pass"] is True
    known = row.evidence
    assert (known["care"], known["files"], known["ticked"], known["shown"]) == ("study", 2, 2, 0)
    assert known["check"]["state"] == "passed"
    assert known["check"]["tree_sha"] == request.tree_sha
    assert known["rank"] > 0
