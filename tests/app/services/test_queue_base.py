"""The merge queue on a base that is broken itself: nobody is blamed, and it goes on when it can."""

from pathlib import Path

import pytest
from sqlmodel import select

from app.models import Check
from app.services import check_runs, checks, queue
from app.services.context import Context
from app.store import batches
from tests.app.services.yard import Yard


@pytest.fixture
def yard(ctx: Context, tmp_path: Path) -> Yard:
    return Yard(ctx, tmp_path / "ship")


def why(yard: Yard) -> dict[int, str]:
    with yard.ctx.db.read() as db:
        return {each.merge_request_id: each.why for each in queue.line(db)}


def runs(yard: Yard) -> int:
    with yard.ctx.db.read() as db:
        return len(batches.runs_started(db))


def broken(yard: Yard, count: int) -> list[int]:
    """Approved requests whose base somebody breaks, after the queue came to rest."""
    numbers = [yard.request({f"f{n}": "x\n"}) for n in range(count)]
    yard.approve(*numbers)
    yard.human_commits({"bad": "x\n"})
    yard.settle()
    return numbers


@pytest.mark.slow
def test_on_a_broken_base_nobody_is_thrown_out_and_all_go_on_once_it_is_mended(yard: Yard) -> None:
    numbers = broken(yard, 6)
    assert yard.states(*numbers) == ["approved"] * 6
    (train,) = yard.trains()
    assert (train.state, train.culprit_id, train.base_sha) == ("failed", None, yard.base())
    assert "main fails its check by itself" in train.state_reason
    assert all("main fails its check by itself" in each for each in why(yard).values())
    yard.run_checks()  # their own: one of them might be what mends it
    before = runs(yard)
    yard.settle()
    assert (runs(yard), len(yard.trains())) == (before, 1)
    yard.human_commits({"bad": None})
    yard.settle()
    assert yard.states(*numbers) == ["merged"] * 6
    assert runs(yard) == before + 1


def test_one_that_mends_the_base_lands_and_the_others_follow(yard: Yard) -> None:
    numbers = broken(yard, 2)
    mends = yard.request({"bad": None})
    yard.approve(mends)
    assert "its own check runs" in why(yard)[mends]
    owners = {check.merge_request_id for check in check_runs.in_order(yard.ctx)}
    assert owners >= {mends}  # it does not stand back for a train that never comes
    yard.run_checks()
    yard.settle()
    assert yard.states(mends, *numbers) == ["merged"] * 3
    assert yard.landings()[0].merge_request_id == mends
    assert yard.files() >= {"f0", "f1"}


def test_a_lone_one_on_a_broken_base_is_not_blamed_for_its_own_check(yard: Yard) -> None:
    (number,) = broken(yard, 1)
    assert yard.states(number) == ["approved"]
    assert yard.settle() == 0


def test_a_failing_one_is_blamed_once_the_base_is_known_to_pass(yard: Yard) -> None:
    first, second = yard.request({"bad": "1\n"}), yard.request({"f": "x\n"})
    yard.approve(first)
    yard.run_checks()
    yard.approve(second, after=[first])
    assert yard.settle() == 1  # the base's, of which nothing was known
    assert yard.states(first, second) == ["open", "approved"]
    assert "on main its check does not pass" in yard.get(first).state_reason
    assert why(yard)[second] == f"after #{first}"


def test_several_failing_ones_hold_up_no_good_one(yard: Yard) -> None:
    bad = [yard.request({"bad": f"{n}\n"}) for n in range(2)]
    yard.approve(*bad)
    yard.run_checks()
    good = yard.request({"good": "x\n"})
    yard.approve(good)
    yard.settle()
    assert yard.states(*bad, good) == ["open", "open", "merged"]


def test_a_base_that_passes_when_run_again_holds_nobody_up(yard: Yard) -> None:
    """What failed by bad luck: the first two runs are made to have."""
    one, two = yard.request({"one": "x\n"}), yard.request({"two": "x\n"})
    yard.approve(one)
    for _ in range(2):
        queue.step(yard.ctx)
        yard.run_checks(of_batches=True)
        with yard.ctx.db.write() as db:
            for check in db.exec(select(Check).where(Check.state == "passed")):
                check.state = "failed"
                db.add(check)
    yard.settle()
    assert "run that check again" in why(yard)[one]
    yard.approve(two)
    assert "its own check runs" in why(yard)[two]
    with yard.ctx.db.read() as db:
        of_base = batches.check_at(db, yard.trains()[0].id or 0, yard.base())
    assert of_base is not None
    checks.rerun(yard.ctx, of_base.id or 0)
    check_runs.drop_unneeded(yard.ctx)
    yard.run_checks()
    yard.settle()
    assert yard.states(one, two) == ["open", "merged"]  # the one's own run failed as well
