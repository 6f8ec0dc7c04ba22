"""The merge queue with real git and real checks: who rides, what lands, who is thrown out."""

from pathlib import Path

import pytest
from sqlmodel import select

from app.models import Decision, MergeRequest, Message
from app.services import check_runs, queue
from app.services.context import Context
from app.store import merge_requests
from tests.app import factories
from tests.app.services.yard import Yard, git


@pytest.fixture
def yard(ctx: Context, tmp_path: Path) -> Yard:
    return Yard(ctx, tmp_path / "ship")


def decisions(yard: Yard, verb: str) -> list[Decision]:
    with yard.ctx.db.read() as db:
        return [row for row in merge_requests.decisions(db) if row.verb == verb]


def why(yard: Yard) -> dict[int, str]:
    with yard.ctx.db.read() as db:
        return {each.merge_request_id: each.why for each in queue.line(db)}


def test_approved_ones_land_together_by_one_check(yard: Yard) -> None:
    numbers = [yard.request({f"f{n}": f"{n}\n"}) for n in range(4)]
    yard.approve(*numbers)
    before = yard.base()
    assert yard.settle() == 1
    assert yard.states(*numbers) == ["merged"] * 4
    assert {f"f{n}" for n in range(4)} <= yard.files()
    (train,) = yard.trains()
    assert (train.state, train.good, train.base_sha) == ("landed", 4, before)
    landings = yard.landings()
    assert [each.old_sha for each in landings[1:]] == [each.new_sha for each in landings[:-1]]
    assert landings[-1].new_sha == yard.base() == train.head_sha
    assert (yard.path / "f3").exists()  # the clean checkout came along
    rows = decisions(yard, "land")
    assert len(rows) == 4
    evidence = {"check_id": yard.check_of(train).id, "check": "passed"}
    assert rows[0].evidence == {**evidence, "batch_id": train.id, "base_sha": before}
    assert rows[0].tree_sha == train.tree_sha


def test_a_lone_one_rides_on_its_own_check(yard: Yard) -> None:
    number = yard.request({"f": "1\n"})
    yard.run_checks()
    yard.approve(number)
    assert yard.settle() == 0
    assert yard.states(number) == ["merged"]


def test_the_bad_one_is_thrown_out_and_the_others_land(yard: Yard) -> None:
    numbers = [yard.request({"bad" if n == 5 else f"f{n}": f"{n}\n"}) for n in range(8)]
    yard.approve(*numbers)
    runs = yard.settle()
    assert runs <= 6  # the whole, three to find it, what is behind it
    bad = numbers[5]
    assert yard.states(*numbers) == ["open" if n == bad else "merged" for n in numbers]
    assert "bad" not in yard.files()
    assert "Thrown out of the merge queue" in yard.get(bad).state_reason
    (row,) = decisions(yard, "throw_out")
    assert (row.subject, row.evidence["check"]) == (f"merge request {bad}", "failed")
    assert [t.culprit_id for t in yard.trains()] == [None, bad]


def test_two_that_only_break_together(ctx: Context, tmp_path: Path) -> None:
    yard = Yard(ctx, tmp_path / "ship", command="test ! -e one || test ! -e two")
    numbers = [yard.request({name: "x\n"}) for name in ("zero", "one", "two", "three")]
    yard.run_checks()
    yard.approve(*numbers)
    yard.settle()
    assert yard.states(*numbers) == ["merged", "merged", "open", "merged"]
    assert f"#{numbers[1]}" in yard.get(numbers[2]).state_reason


def test_one_that_conflicts_with_the_train_waits_and_then_goes_back(yard: Yard) -> None:
    one, two = yard.request({"a": "one\n"}), yard.request({"a": "two\n"})
    yard.approve(one, two)
    queue.step(yard.ctx)
    assert why(yard) == {one: "the train's check runs", two: "conflicts with the train ahead"}
    assert yard.trains()[0].left == [{"merge_request_id": two, "paths": ["a"]}]
    yard.settle()
    assert yard.states(one, two) == ["merged", "open"]
    assert "Conflicts with main" in yard.get(two).state_reason


def test_the_order_lets_most_ride(yard: Yard) -> None:
    """The first conflicts with two others: they ride, it waits."""
    hub = yard.request({"a": "x\n", "b": "x\n"})
    one, two = yard.request({"a": "1\n"}), yard.request({"b": "2\n"})
    for other in (one, two):
        factories.overlap(yard.ctx, yard.get(hub), yard.get(other), "a")
    yard.approve(hub, one, two)
    yard.settle()
    assert yard.states(hub, one, two) == ["open", "merged", "merged"]


def test_after_holds_in_one_train_and_over_trains(yard: Yard) -> None:
    first, second, third = (yard.request({f"f{n}": "x\n"}) for n in range(3))
    yard.approve(second, after=[first])
    yard.approve(third, after=[second])
    yard.settle()
    assert yard.states(second, third) == ["approved", "approved"]
    assert why(yard) == {second: f"after #{first}", third: f"after #{second}"}
    yard.approve(first)
    yard.settle()
    assert len(yard.trains()) == 1
    assert [each["merge_request_id"] for each in yard.trains()[0].steps] == [first, second, third]


def test_one_that_waits_for_the_rejected_says_so(yard: Yard) -> None:
    first, second = yard.request({"f": "x\n"}), yard.request({"g": "x\n"})
    yard.approve(second, after=[first])
    with yard.ctx.db.write() as db:
        merge_requests.change_state(db, first, ("open",), "rejected")
    yard.settle()
    assert why(yard) == {second: f"after #{first}, which is rejected"}


def test_when_checks_pass_waits_for_its_own_check(yard: Yard) -> None:
    good, bad = yard.request({"f": "x\n"}), yard.request({"bad": "x\n"})
    yard.approve(good, bad, waits_for_check=True)
    assert yard.settle() == 0
    assert why(yard)[good] == "its check runs"
    yard.run_checks()
    yard.settle()
    assert yard.states(good, bad) == ["merged", "approved"]


def test_a_failing_one_goes_back_to_the_human(yard: Yard) -> None:
    yard.approve(yard.request({"good": "x\n"}))
    yard.settle()  # so the base is known to pass
    bad = yard.request({"bad": "x\n"})
    yard.approve(bad)
    yard.run_checks()
    assert yard.settle() == 0
    assert yard.states(bad) == ["open"]
    assert "does not pass" in yard.get(bad).state_reason
    assert len(yard.trains()) == 1


def test_a_forced_one_lands_alone_ahead_of_the_train(yard: Yard) -> None:
    bad, one, two = (yard.request({name: "x\n"}) for name in ("bad", "one", "two"))
    yard.approve(one, two)
    queue.step(yard.ctx)
    yard.approve(bad, is_forced=True)
    queue.step(yard.ctx)
    assert yard.states(bad, one, two) == ["merged", "approved", "approved"]
    forced, void = yard.trains()[:2]
    assert "without a passing check" in forced.state_reason
    assert (void.state, void.state_reason) == ("void", f"#{bad} is forced and lands ahead of it.")
    (row,) = decisions(yard, "land")
    assert row.evidence["check"] == "forced"
    yard.settle()
    assert "bad" in yard.files()
    assert yard.states(one, two) == [
        "approved",
        "approved",
    ]  # nothing passes on it: not their doing


@pytest.mark.parametrize("merge", ["squash", "rebase"])
def test_other_strategies_land_a_line_of_commits(ctx: Context, tmp_path: Path, merge: str) -> None:
    yard = Yard(ctx, tmp_path / "ship", merge=merge)
    numbers = [yard.request({f"f{n}": "x\n"}) for n in range(3)]
    yard.approve(*numbers)
    yard.settle()
    assert yard.states(*numbers) == ["merged"] * 3
    assert git(yard.path, "rev-list", "--count", "--merges", "main") == "0"
    words = git(yard.path, "log", "-3", "--reverse", "--format=%s", "main").splitlines()
    titles = {"rebase": "Write f{}", "squash": "Merge #{}: Write f{}"}[merge]
    numbered = [(n,) if merge == "rebase" else (number, n) for n, number in enumerate(numbers)]
    assert words == [titles.format(*each) for each in numbered]


def test_its_author_hears_why_it_was_thrown_out(ctx: Context, tmp_path: Path) -> None:
    yard = Yard(ctx, tmp_path / "ship", command="echo nothing may be bad; test ! -e bad")
    work = factories.task(ctx, yard.repository)
    author = factories.session(ctx, factories.agent(ctx), work)
    good, bad = yard.request({"good": "x\n"}), yard.request({"bad": "x\n"})
    with ctx.db.write() as db:
        row = db.get_one(MergeRequest, bad)
        row.session_id = author.id
        db.add(row)
    yard.approve(good, bad)
    yard.settle()
    with ctx.db.read() as db:
        (message,) = db.exec(select(Message)).all()
    assert message.session_id == author.id
    assert f"on main with #{good} its check does not pass" in message.text
    assert "nothing may be bad" in message.text


def test_riders_checks_stand_back_for_the_trains(yard: Yard) -> None:
    rides, waits, judged = (yard.request({name: "x\n"}) for name in ("one", "two", "three"))
    again = yard.request({"four": "x\n"})
    yard.approve(rides, again)
    yard.approve(waits, waits_for_check=True)
    queue.step(yard.ctx)
    owners = [check.merge_request_id for check in check_runs.in_order(yard.ctx)]
    assert owners[0] is None  # the train's
    assert set(owners[1:]) == {waits, judged}
