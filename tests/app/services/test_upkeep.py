"""Stored diffs are put away when nobody reads them any more; what is open keeps its own."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from app.models import Batch, MergeRequest
from app.models.base import utc_now
from app.services import diffs, unions, upkeep
from app.services.context import Context
from tests.app.services.desk import Desk

DAY = timedelta(days=1)


@pytest.fixture
def desk(ctx: Context, tmp_path: Path) -> Desk:
    return Desk(ctx, tmp_path / "ship")


def aged(desk: Desk, number: int, by: timedelta, **columns: object) -> Path:
    """Its diff's file, as if all that happened to it had happened that long ago."""
    moment = utc_now() - by
    with desk.ctx.db.write() as db:
        row = db.get_one(MergeRequest, number)
        for name, value in {**columns, "updated_at": moment}.items():
            setattr(row, name, value)
        db.add(row)
    path = diffs.request_path(desk.ctx, number, desk.get(number).head_sha)
    os.utime(path, 2 * (moment.timestamp(),))
    return path


def names(desk: Desk) -> set[str]:
    return {path.name for path in diffs.directory(desk.ctx).iterdir()}


def test_only_what_was_decided_long_ago_is_put_away(desk: Desk) -> None:
    one, two, three = (desk.offer(f"echo x > {name}") for name in "abc")
    long_ago = aged(desk, one, 31 * DAY, state="merged")
    kept = {
        aged(desk, two, 29 * DAY, state="rejected").name,
        aged(desk, three, 99 * DAY).name,  # open still
    }
    diffs.store(diffs.since_path(desk.ctx, three, "a" * 40), desk_diff(desk, three))
    kept |= {diffs.since_path(desk.ctx, three, "a" * 40).name}
    (diffs.directory(desk.ctx) / "notes.txt").write_text("not ours")
    os.utime(diffs.directory(desk.ctx) / "notes.txt", (0, 0))
    assert upkeep.prune(desk.ctx) == 1
    assert not long_ago.exists()
    assert names(desk) == kept | {"notes.txt"}
    assert upkeep.prune(desk.ctx) == 0


def desk_diff(desk: Desk, number: int) -> diffs.StoredDiff:
    found = diffs.stored_diff(desk.ctx, merge_request_id=number)
    assert found is not None
    return found


def test_an_outdated_union_and_a_draft_go_after_a_day(desk: Desk) -> None:
    numbers = [desk.offer(f"echo x > {name}") for name in "ab"]
    union = unions.make(desk.ctx, numbers)
    unions.build_waiting(desk.ctx)
    path = diffs.union_path(desk.ctx, union.id or 0)
    draft = path.with_name("union-9.1.new")
    draft.write_text("{")
    for each in (path, draft):
        os.utime(each, 2 * ((utc_now() - 2 * DAY).timestamp(),))
    assert upkeep.prune(desk.ctx) == 1
    assert path.exists()  # live still
    assert not draft.exists()
    with desk.ctx.db.write() as db:
        row = db.get_one(Batch, union.id)
        row.state = "stale"
        db.add(row)
    assert upkeep.prune(desk.ctx) == 1
    assert unions.diff(desk.ctx, batch_id=union.id or 0) is None


def test_what_was_put_away_is_computed_when_asked_for(desk: Desk) -> None:
    number = desk.offer("echo x > a")
    before = desk_diff(desk, number)
    aged(desk, number, 31 * DAY, state="merged")
    upkeep.prune(desk.ctx)
    keeper = upkeep.Keeper()
    keeper.look(desk.ctx)
    assert names(desk) == set()  # nobody asked
    assert diffs.stored_diff(desk.ctx, merge_request_id=number) is None
    keeper.look(desk.ctx)
    again = desk_diff(desk, number)
    assert (again.files, again.commits) == (before.files, before.commits)
    assert upkeep.prune(desk.ctx) == 0  # kept for another month


def test_what_cannot_be_computed_says_why(desk: Desk) -> None:
    number = desk.offer("echo x > a")
    aged(desk, number, DAY, state="merged")
    with desk.ctx.db.write() as db:
        db.get_one(MergeRequest, number).head_sha = "b" * 40
    assert diffs.stored_diff(desk.ctx, merge_request_id=number) is None
    upkeep.Keeper().look(desk.ctx)
    assert "git" in diffs.problem(diffs.request_path(desk.ctx, number, "b" * 40))


def test_a_preflight_that_broke_off_is_done_again(desk: Desk) -> None:
    number = desk.offer("echo x > a")
    aged(desk, number, timedelta(minutes=1), care="", tree_sha="").unlink()
    upkeep.Keeper().look(desk.ctx)
    request = desk.get(number)
    assert (request.care, bool(request.tree_sha)) == ("read", True)
    assert len(desk_diff(desk, number).files) == 1
