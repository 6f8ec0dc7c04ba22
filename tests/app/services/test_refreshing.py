"""What is open meets a base that moved, by whoever's hand: once, in order, harming no other."""

from datetime import timedelta
from pathlib import Path

import pytest

from app.models import MergeRequest
from app.models.base import utc_now
from app.services import queue
from app.services.context import Context
from tests.app.services.yard import Yard, git


@pytest.fixture
def yard(ctx: Context, tmp_path: Path) -> Yard:
    return Yard(ctx, tmp_path / "ship")


def bases(yard: Yard, *numbers: int) -> list[str]:
    return [yard.get(number).base_sha for number in numbers]


def test_a_landing_leaves_the_others_to_the_refresher(yard: Yard) -> None:
    lands, *others = (yard.request({name: "x\n"}) for name in ("lands", "one", "two"))
    yard.run_checks()
    before = yard.base()
    yard.approve(lands)
    queue.step(yard.ctx)
    assert yard.states(lands) == ["merged"]
    assert bases(yard, *others) == [before] * 2
    yard.refresher.refresh_stale(yard.ctx)
    assert bases(yard, *others) == [yard.base()] * 2
    looked = [yard.get(number).updated_at for number in others]
    yard.refresher.refresh_stale(yard.ctx)
    assert [yard.get(number).updated_at for number in others] == looked


def test_a_base_that_somebody_else_moved_is_met_and_packed_refs_are_read(yard: Yard) -> None:
    number = yard.request({"a": "mine\n"})
    yard.human_commits({"a": "theirs\n"})
    git(yard.path, "pack-refs", "--all")
    yard.refresher.refresh_stale(yard.ctx)
    assert bases(yard, number) == [yard.base()]
    assert [conflict["path"] for conflict in yard.get(number).conflicts] == ["a"]


def test_what_is_decided_first_is_met_first(yard: Yard) -> None:
    one, two, three = (yard.request({f"f{n}": "x\n"}) for n in range(3))
    yard.run_checks()
    with yard.ctx.db.write() as db:  # two others wait for it
        for number in (one, two):
            row = db.get_one(MergeRequest, number)
            row.after = [three]
            db.add(row)
    yard.human_commits({"theirs": "x\n"})
    yard.refresher.refresh_stale(yard.ctx)
    order = sorted((one, two, three), key=lambda number: yard.get(number).updated_at)
    assert order[0] == three


def test_one_that_is_being_offered_is_left_to_who_offers_it(yard: Yard) -> None:
    offered, died_over = yard.request({"one": "x\n"}), yard.request({"two": "x\n"})
    with yard.ctx.db.write() as db:
        for number, minutes in ((offered, 0), (died_over, 2)):
            row = db.get_one(MergeRequest, number)
            row.base_sha, row.created_at = "", utc_now() - timedelta(minutes=minutes)
            db.add(row)
    yard.refresher.refresh_stale(yard.ctx)
    assert bases(yard, offered, died_over) == ["", yard.base()]


def test_one_that_cannot_be_met_harms_no_other_and_is_put_off(yard: Yard) -> None:
    broken, other = yard.request({"one": "x\n"}), yard.request({"two": "x\n"})
    with yard.ctx.db.write() as db:
        row = db.get_one(MergeRequest, broken)
        row.head_sha = "1" * 40
        db.add(row)
    before = yard.base()
    yard.human_commits({"theirs": "x\n"})
    for _ in range(2):
        yard.refresher.refresh_stale(yard.ctx)
    assert bases(yard, broken, other) == [before, yard.base()]


def test_a_repository_that_is_gone_harms_no_other(ctx: Context, tmp_path: Path) -> None:
    gone, here = Yard(ctx, tmp_path / "gone"), Yard(ctx, tmp_path / "here")
    numbers = [yard.request({"one": "x\n"}) for yard in (gone, here)]
    here.human_commits({"theirs": "x\n"})
    gone.path.rename(tmp_path / "away")
    here.refresher.refresh_stale(ctx)
    assert here.get(numbers[1]).base_sha == here.base()
