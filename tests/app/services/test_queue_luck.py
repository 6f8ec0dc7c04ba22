"""The merge queue's bad luck: what moves, breaks, locks or goes missing under a train."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from sqlmodel import select

from app.models import Check, Repository
from app.services import check_runs, queue
from app.services.context import Context
from tests.app.services.yard import Yard, git


@pytest.fixture
def yard(ctx: Context, tmp_path: Path) -> Yard:
    return Yard(ctx, tmp_path / "ship")


def test_a_new_commit_voids_the_train_and_the_others_ride_on(yard: Yard) -> None:
    one, two = yard.request({"one": "x\n"}), yard.request({"two": "x\n"})
    yard.approve(one, two)
    queue.step(yard.ctx)
    yard.new_head(two, {"bad": "x\n"})
    yard.settle()
    assert yard.states(one, two) == ["merged", "open"]
    assert [train.state for train in yard.trains()] == ["landed", "void"]
    assert yard.files() & {"two", "bad"} == set()


def test_a_base_moved_between_check_and_landing_is_met_anew(yard: Yard) -> None:
    one, two = yard.request({"one": "x\n"}), yard.request({"a": "mine\n"})
    yard.approve(one, two)
    queue.step(yard.ctx)
    yard.run_checks(of_batches=True)
    theirs = yard.human_commits({"a": "theirs\n"})
    yard.settle()
    assert yard.states(one, two) == ["merged", "open"]
    assert git(yard.path, "merge-base", "--is-ancestor", theirs, "main") == ""
    assert [train.state for train in yard.trains()] == ["landed", "void"]


def test_a_base_moved_while_the_check_runs_is_noticed_at_once(yard: Yard) -> None:
    one = yard.request({"one": "x\n"})
    yard.approve(one)
    queue.step(yard.ctx)
    before = yard.check_of(yard.trains()[0])
    theirs = yard.human_commits({"theirs": "x\n"})
    queue.step(yard.ctx)
    check_runs.drop_unneeded(yard.ctx)
    new, old = yard.trains()
    assert (old.state, old.state_reason) == ("void", "main was moved by somebody else.")
    assert (new.state, new.base_sha) == ("checking", theirs)
    with yard.ctx.db.read() as db:
        assert db.get_one(Check, before.id).state == "stale"
    assert yard.settle() == 1
    assert yard.states(one) == ["merged"]


def test_a_base_that_is_deleted_under_a_train_gives_all_back(yard: Yard) -> None:
    one = yard.request({"one": "x\n"})
    yard.approve(one)
    queue.step(yard.ctx)
    git(yard.path, "branch", "-m", "main", "trunk")
    queue.step(yard.ctx)
    assert yard.states(one) == ["open"]
    assert "main" in yard.get(one).state_reason


def test_a_check_that_cannot_run_gives_all_back(yard: Yard) -> None:
    one, two = yard.request({"one": "x\n"}), yard.request({"two": "x\n"})
    yard.approve(one, two)
    queue.step(yard.ctx)
    check = yard.check_of(yard.trains()[0])
    with yard.ctx.db.write() as db:
        row = db.get_one(Check, check.id)
        row.state, row.output_tail = "error", "No space left on device"
        db.add(row)
    yard.settle()
    assert yard.states(one, two) == ["open", "open"]
    assert "No space left on device" in yard.get(one).state_reason


def test_what_the_base_has_already_is_said(yard: Yard) -> None:
    one = yard.request({"one": "x\n"})
    yard.approve(one)
    git(yard.path, "merge", "-q", "--ff-only", "side")
    yard.settle()
    assert yard.states(one) == ["open"]
    assert "nothing to merge" in yard.get(one).state_reason


def test_a_broken_configuration_is_said_and_nothing_lands(yard: Yard) -> None:
    one = yard.request({"one": "x\n"})
    yard.approve(one)
    yard.human_commits({"quarterdeck.toml": "merge = 1\n"})
    yard.settle()
    assert yard.states(one) == ["open"]
    assert "quarterdeck.toml" in yard.get(one).state_reason


@pytest.mark.slow
def test_a_lock_of_another_git_is_waited_for(yard: Yard) -> None:
    one = yard.request({"one": "x\n"})
    yard.approve(one)
    yard.run_checks()
    lock = yard.path / ".git/refs/heads/main.lock"
    lock.touch()
    queue.step(yard.ctx)
    queue.step(yard.ctx)
    assert yard.states(one) == ["landing"]
    assert "delete its .lock file" in yard.trains()[0].state_reason
    lock.unlink()
    yard.settle()
    assert yard.states(one) == ["merged"]
    assert len(yard.trains()) == 1


def test_repositories_do_not_wait_for_each_other(ctx: Context, tmp_path: Path) -> None:
    slow, quick = Yard(ctx, tmp_path / "slow", command="sleep 99"), Yard(ctx, tmp_path / "quick")
    gone = Yard(ctx, tmp_path / "gone")
    numbers = [each.request({"one": "x\n"}) for each in (gone, slow, quick)]
    for each, number in zip((gone, slow, quick), numbers, strict=True):
        each.approve(number)
    gone.path.rename(tmp_path / "away")
    queue.step(ctx)
    with ctx.db.write() as db:
        for check in db.exec(select(Check).where(Check.state == "queued")):
            if db.get_one(Repository, check.repository_id).path == str(quick.path):
                check.state = "passed"
                db.add(check)
    queue.step(ctx)
    assert [slow.get(number).state for number in numbers] == ["open", "approved", "merged"]
    assert "is gone" in slow.get(numbers[0]).state_reason


def test_two_servers_threads_land_once(yard: Yard) -> None:
    numbers = [yard.request({f"f{n}": "x\n"}) for n in range(3)]
    yard.approve(*numbers)
    done = Event()

    def work() -> None:
        while not done.is_set():
            queue.step(yard.ctx)

    with ThreadPoolExecutor(3) as threads:
        working = [threads.submit(work) for _ in range(3)]
        try:
            while not all(state == "merged" for state in yard.states(*numbers)):
                yard.run_checks(of_batches=True)
                assert not any(each.done() for each in working)
        finally:
            done.set()
    assert len(yard.landings()) == 3
    assert git(yard.path, "rev-list", "--count", "--merges", "main") == "3"


def test_only_the_commit_that_was_approved_rides(yard: Yard) -> None:
    """Its author commits and it is approved anew while the train's check runs."""
    one, two = yard.request({"one": "x\n"}), yard.request({"two": "x\n"})
    yard.approve(one, two)
    queue.step(yard.ctx)
    yard.run_checks(of_batches=True)
    yard.new_head(two, {"more": "x\n"})
    yard.approve(two)
    yard.settle()
    assert yard.states(one, two) == ["merged", "merged"]
    assert {"two", "more"} <= yard.files()
    assert [train.state for train in yard.trains()] == ["landed", "void"]
