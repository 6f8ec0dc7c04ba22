"""Unions on real git: one diff, one check, one approval; stale as soon as anything moved."""

from pathlib import Path

import pytest

from app.errors import Conflict, Invalid, NotFound, NotSeen
from app.models import Batch
from app.services import reviews, unions
from app.services.context import Context
from app.store import batches
from tests.app.services.desk import Desk


@pytest.fixture
def desk(ctx: Context, tmp_path: Path) -> Desk:
    return Desk(ctx, tmp_path / "ship")


def built(desk: Desk, *numbers: int) -> Batch:
    union = unions.make(desk.ctx, numbers)
    return again(desk, union)


def again(desk: Desk, union: Batch) -> Batch:
    """As the supervisor leaves it."""
    unions.build_waiting(desk.ctx)
    with desk.ctx.db.read() as db:
        return unions.existing(db, union.id or 0)


def verdict(union: Batch) -> dict[str, int | str]:
    return {"batch_id": union.id or 0, "head_sha": union.head_sha}


def test_several_are_looked_at_checked_and_approved_as_one(desk: Desk) -> None:
    numbers = [desk.offer(f"echo {name} > {name}", care="read") for name in "xyz"]
    union = built(desk, *numbers)
    assert (union.state, union.base_sha) == ("ready", desk.base())
    diff = unions.diff(desk.ctx, batch_id=union.id or 0)
    assert diff is not None
    assert [file.path for file in diff.files] == ["x", "y", "z"]
    assert desk.check_of(union).state == "queued"
    desk.run_checks(of_batches=True)
    assert desk.check_of(union).state == "passed"
    with pytest.raises(NotSeen, match=f"#{numbers[0]}"):
        unions.approve(desk.ctx, **verdict(union))
    unions.note_seen(desk.ctx, batch_id=union.id or 0)
    assert unions.approve(desk.ctx, **verdict(union)) == numbers
    assert [row.detail["union_id"] for row in desk.decisions("approve")] == [union.id] * 3
    assert desk.settle() == 0  # the very tree was checked for the union
    assert desk.states(*numbers) == ["merged"] * 3


def test_each_member_keeps_its_own_gate_and_all_or_none_pass(desk: Desk) -> None:
    easy, hard = desk.offer("echo x > x", care="glance"), desk.offer("echo y > y", care="study")
    union = built(desk, easy, hard)
    unions.note_seen(desk.ctx, batch_id=union.id or 0)
    with pytest.raises(NotSeen, match="y not ticked"):
        unions.approve(desk.ctx, **verdict(union))
    assert desk.states(easy, hard) == ["open", "open"]
    unions.note_seen(desk.ctx, batch_id=union.id or 0, paths=["y"], ticked=True)
    assert desk.gate(easy).states == {"x": "shown"}
    assert unions.approve(desk.ctx, **verdict(union)) == [easy, hard]


def test_one_approved_already_stays_so(desk: Desk) -> None:
    first, second = (desk.offer(f"echo {name} > {name}", care="glance") for name in "xy")
    reviews.approve(desk.ctx, **desk.verdict(first))
    assert unions.approve(desk.ctx, **verdict(built(desk, first, second))) == [second]


def test_what_conflicts_with_the_rest_is_left_out_and_said(desk: Desk) -> None:
    first, second = desk.offer("echo x > x", care="glance"), desk.offer("echo y > x", care="glance")
    union = built(desk, first, second)
    assert union.left == [{"merge_request_id": second, "paths": ["x"]}]
    assert unions.approve(desk.ctx, **verdict(union)) == [first]
    assert desk.states(second) == ["open"]


@pytest.mark.parametrize("what", ["member", "base", "rejected"])
def test_it_is_stale_as_soon_as_anything_moved(desk: Desk, what: str) -> None:
    first, second = (desk.offer(f"echo {name} > {name}", care="glance") for name in "xy")
    union = built(desk, first, second)
    if what == "member":
        desk.renew(first, "echo more >> x")
        with pytest.raises(Conflict, match="has new commits since you looked"):
            unions.approve(desk.ctx, **verdict(union))  # though nobody noticed yet
    elif what == "base":
        desk.human_commits({"b": "b\n"})
        desk.preflight(first)
    else:
        reviews.reject(desk.ctx, **desk.verdict(first))
    union = again(desk, union)
    assert union.state == "stale"
    with pytest.raises(Conflict, match=f"Union {union.id} is stale|new commits"):
        unions.approve(desk.ctx, **verdict(union))
    assert desk.states(second) == ["open"]
    with desk.ctx.db.read() as db:
        assert not batches.open_trains(db)


def test_the_same_union_is_not_made_twice(desk: Desk) -> None:
    first, second = desk.offer("echo x > x"), desk.offer("echo y > y")
    union = built(desk, first, second)
    assert unions.make(desk.ctx, [first, second]).id == union.id
    desk.renew(second, "echo more >> y")
    assert unions.make(desk.ctx, [first, second]).id != union.id


def test_what_cannot_be_combined_is_refused_with_a_reason(desk: Desk) -> None:
    first = desk.offer("echo x > x")
    with pytest.raises(Invalid, match="2 to 50"):
        unions.make(desk.ctx, [first, first])
    with pytest.raises(NotFound):
        unions.make(desk.ctx, [first, 99])
    with pytest.raises(NotFound, match="no union 7"):
        unions.approve(desk.ctx, batch_id=7, head_sha="")
    second = desk.offer("echo y > y")
    reviews.reject(desk.ctx, **desk.verdict(second))
    with pytest.raises(Conflict, match="is rejected; leave it out"):
        unions.make(desk.ctx, [first, second])


def test_a_union_of_which_nothing_merges_failed(desk: Desk) -> None:
    numbers = [desk.offer(f"echo {n} > a", care="glance") for n in range(2)]
    union = unions.make(desk.ctx, numbers)
    desk.human_commits({"a": "mine\n"})
    for number in numbers:
        desk.preflight(number, state="open")
    union = again(desk, union)
    assert (union.state, union.state_reason) == ("failed", "None of them merges with main.")
