"""Asking for checks: one run per tree, whoever asks; reruns and cancels; real commands."""

from pathlib import Path

import pytest

from app.errors import Conflict, NotFound
from app.models import Check, MergeRequest
from app.services import check_runs, checks
from app.services.context import Context
from app.store import checks as store
from tests.app.services.checking import Yard

NO_BAD = "echo looked; test ! -e bad"


@pytest.fixture
def yard(ctx: Context, tmp_path: Path) -> Yard:
    return Yard(ctx, tmp_path, NO_BAD)


def test_asking_twice_is_one_check(yard: Yard) -> None:
    request = yard.request(yard.tree(good="1"))
    first = yard.want(request)
    assert yard.want(request).id == first.id
    assert yard.run(first).state == "passed"
    assert yard.want(request).id == first.id


def test_a_tree_that_was_answered_is_not_run_again(yard: Yard) -> None:
    for name, state in (("good", "passed"), ("bad", "failed")):
        ended = yard.checked(**{name: "1"})
        assert (ended.state, ended.output_tail) == (state, "looked\n")
        other = yard.want(yard.request(ended.tree_sha))
        assert (other.state, other.same_as_id, other.output_tail) == (state, ended.id, "looked\n")
        assert other.exit_code == ended.exit_code


def test_whoever_asks_while_it_runs_shares_the_answer(yard: Yard, published: list[str]) -> None:
    tree = yard.tree(bad="1")
    first = yard.want(yard.request(tree))
    second = yard.want(yard.request(tree))
    train = yard.ask(tree, batch_id=yard.batch("train").id)
    assert {second.state, train.state} == {"queued"}
    assert [check.id for check in check_runs.in_order(yard.ctx)] == [first.id]
    published.clear()
    yard.run(first)
    for check in (second, train):
        assert (yard.now(check).state, yard.now(check).same_as_id) == ("failed", first.id)
    assert f"review:{second.merge_request_id}" in published


def test_a_branch_that_goes_back_to_a_checked_tree_is_answered(yard: Yard) -> None:
    """The newest check of a request is always of the tree that it has now."""
    one, two = yard.tree(good="1"), yard.tree(bad="2")
    request = yard.request(one)
    first = yard.run(yard.want(request))
    yard.run(yard.ask(two, merge_request_id=request.id))
    again = yard.want(request)
    assert again.id != first.id
    assert (again.state, again.same_as_id) == ("passed", first.id)


def test_another_command_is_another_question(yard: Yard) -> None:
    ended = yard.checked(good="1")
    yard.base = yard.move_base("false")
    assert yard.run(yard.want(yard.request(ended.tree_sha))).state == "failed"


def test_without_a_command_there_is_nothing_to_wait_for(ctx: Context, tmp_path: Path) -> None:
    yard = Yard(ctx, tmp_path, "")
    check = yard.want(yard.request(yard.tree(good="1")))
    assert check.state == "none"
    with pytest.raises(Conflict, match="no check command"):
        checks.rerun(ctx, check.id or 0)


def test_a_broken_configuration_is_told_once(ctx: Context, tmp_path: Path) -> None:
    yard = Yard(ctx, tmp_path, "", "[check")
    request = yard.request(yard.tree(good="1"))
    check = yard.want(request)
    assert check.state == "error"
    assert "quarterdeck.toml line" in check.output_tail
    assert yard.want(request).id == check.id
    yard.base = yard.move_base("true")
    assert yard.want(request).state == "queued"


def test_trains_go_first_then_unions_then_what_is_approved(yard: Yard) -> None:
    plain = yard.want(yard.request(yard.tree(a="1")))
    condition = {"state": "approved", "waits_for_check": True}
    approved = yard.want(yard.request(yard.tree(a="2"), **condition))
    union = yard.ask(yard.tree(a="3"), batch_id=yard.batch("union").id)
    train = yard.ask(yard.tree(a="4"), batch_id=yard.batch("train").id)
    order = [check.id for check in check_runs.in_order(yard.ctx)]
    assert order == [train.id, union.id, approved.id, plain.id]


def test_what_rides_with_the_queue_is_left_to_the_train(yard: Yard) -> None:
    rides = yard.want(yard.request(yard.tree(a="1"), state="approved"))
    assert check_runs.in_order(yard.ctx) == []
    yard.ask(rides.tree_sha, batch_id=yard.batch("train").id)
    assert [check.id for check in check_runs.in_order(yard.ctx)] == [rides.id]


def test_a_request_that_others_wait_for_goes_before_older_ones(yard: Yard) -> None:
    older = yard.want(yard.request(yard.tree(a="1")))
    request = yard.request(yard.tree(a="2"))
    urgent = yard.want(request)
    yard.request("", after=[request.id])
    assert [check.id for check in check_runs.in_order(yard.ctx)] == [urgent.id, older.id]


def test_a_train_makes_the_run_that_it_shares_urgent(yard: Yard) -> None:
    yard.want(yard.request(yard.tree(a="1")))
    shared = yard.want(yard.request(yard.tree(a="2")))
    yard.ask(shared.tree_sha, batch_id=yard.batch("train").id)
    assert check_runs.in_order(yard.ctx)[0].id == shared.id


def test_what_nobody_waits_for_is_dropped(yard: Yard) -> None:
    request = yard.request(yard.tree(a="1"))
    shared = yard.request(yard.tree(a="2"))
    batch = yard.batch("train")
    alone, both = yard.want(request), yard.want(shared)
    train = yard.ask(shared.tree_sha, batch_id=batch.id)
    with yard.ctx.db.write() as db:
        for row in (request, shared):
            db.get_one(MergeRequest, row.id).tree_sha = "f" * 40
    check_runs.drop_unneeded(yard.ctx)
    assert yard.now(alone).state == "stale"
    assert yard.now(both).state == "queued"  # the train waits for it
    with yard.ctx.db.write() as db:
        db.get_one(type(batch), batch.id).state = "void"
    check_runs.drop_unneeded(yard.ctx)
    assert {yard.now(both).state, yard.now(train).state} == {"stale"}


def test_a_rerun_is_told_as_such_and_may_contradict(ctx: Context, tmp_path: Path) -> None:
    marker = tmp_path / "second-time"
    ctx.settings.sandbox = False  # the command below keeps a note outside of its place
    yard = Yard(ctx, tmp_path, f"test -e {marker} || {{ touch {marker}; false; }}")
    failed = yard.checked(a="1")
    assert (failed.state, failed.run) == ("failed", 1)
    second = checks.rerun(ctx, failed.id or 0)
    assert (second.state, second.run, second.merge_request_id) == (
        *("queued", 2),
        failed.merge_request_id,
    )
    with pytest.raises(Conflict, match="already running"):
        checks.rerun(ctx, failed.id or 0)
    assert yard.run(second).state == "passed"
    with ctx.db.read() as db:
        runs = store.runs(db, failed.tree_sha, failed.command)
        assert [(run.state, run.run) for run in runs] == [("failed", 1), ("passed", 2)]
        assert store.is_flaky(runs)
        assert store.state_of_tree(db, failed.tree_sha, failed.command) == "passed"


def test_a_failing_tree_runs_again_as_often_as_the_repository_says(
    ctx: Context, tmp_path: Path
) -> None:
    ctx.settings.sandbox = False
    count = tmp_path / "count"
    yard = Yard(ctx, tmp_path, f"echo x >> {count}; test $(wc -l < {count}) -ge 3", "reruns = 2")
    first = yard.want(yard.request(yard.tree(a="1")))
    train = yard.ask(first.tree_sha, batch_id=yard.batch("train").id)
    states = []
    while queue := check_runs.in_order(ctx):
        states.append(yard.run(queue[0]).state)
    assert states == ["failed", "failed", "passed"]
    assert (yard.now(train).state, yard.now(train).run) == ("passed", 3)
    assert newest(yard, first).run == 3


def test_reruns_come_to_an_end(ctx: Context, tmp_path: Path) -> None:
    yard = Yard(ctx, tmp_path, "false", "reruns = 1")
    first = yard.checked(a="1")
    second = yard.run(newest(yard, first))
    assert (second.state, second.run) == ("failed", 2)
    assert check_runs.in_order(ctx) == []


def test_a_rerun_nobody_needs_is_refused(yard: Yard) -> None:
    check = yard.checked(a="1")
    with yard.ctx.db.write() as db:
        db.get_one(MergeRequest, check.merge_request_id).state = "merged"
    with pytest.raises(Conflict, match="outdated"):
        checks.rerun(yard.ctx, check.id or 0)
    with pytest.raises(NotFound):
        checks.rerun(yard.ctx, 4711)


def test_a_timeout_of_one_is_run_again_for_another(ctx: Context, tmp_path: Path) -> None:
    yard = Yard(ctx, tmp_path, "sleep 30", "timeout_seconds = 1")
    ended = yard.checked(a="1")
    assert ended.state == "timeout"
    assert ended.output_tail.endswith("[stopped after 1 s]")
    other = yard.want(yard.request(ended.tree_sha))
    assert (other.state, other.same_as_id, other.run) == ("queued", None, 2)


def test_the_settings_limit_holds_where_the_repository_names_none(
    ctx: Context, tmp_path: Path
) -> None:
    ctx.settings.check_timeout_seconds = 0.3
    assert Yard(ctx, tmp_path, "sleep 30").checked(a="1").state == "timeout"


def test_a_cancelled_one_has_no_answer(yard: Yard) -> None:
    check = yard.want(yard.request(yard.tree(a="1")))
    assert checks.cancel(yard.ctx, check.id or 0).state == "stale"
    assert yard.run(check).state == "stale"
    with pytest.raises(Conflict, match="ended already"):
        checks.cancel(yard.ctx, check.id or 0)
    second = checks.rerun(yard.ctx, check.id or 0)
    assert (second.state, second.run) == ("queued", 1)  # the first never ran


def newest(yard: Yard, check: Check) -> Check:
    with yard.ctx.db.read() as db:
        return store.runs(db, check.tree_sha, check.command)[-1]
