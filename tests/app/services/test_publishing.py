"""From a landing or a click to a real bare remote: what is pushed, tried again, told."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from app.errors import Conflict, NotFound
from app.models import MergeRequest, Push
from app.models.base import utc_now
from app.services import publishing
from app.services.context import Context
from app.store import pushes
from tests.app.git.shell import plain_git
from tests.app.services.checking import Yard

URL = "https://example.org/ada/yard/pull/7"
PUSH_BASE = "[push]\nbase = true"


def yard_with_remote(ctx: Context, place: Path, more: str = "") -> Yard:
    yard = Yard(ctx, place, "", more)
    plain_git(place, "init", "-q", "--bare", "-b", "main", "remote.git")
    plain_git(yard.human, "remote", "add", "origin", str(place / "remote.git"))
    return yard


@pytest.fixture
def yard(ctx: Context, tmp_path: Path) -> Yard:
    return yard_with_remote(ctx, tmp_path, PUSH_BASE)


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`gh` on the path, which notes that it was asked and opens what it is asked for."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "gh").write_text(
        f'#!/bin/sh\necho "$@" >> {place}/called\ncat > {place}/body\necho {URL}\n'
    )
    (place / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    return place


def at(yard: Yard, ref: str) -> str:
    return plain_git(yard.human.parent / "remote.git", "rev-parse", "-q", "--verify", ref, ok=False)


def rows(yard: Yard) -> list[Push]:
    with yard.ctx.db.read() as db:
        return [db.get_one(Push, number) for number in range(1, 9) if db.get(Push, number)]


def push_base(yard: Yard) -> None:
    publishing.push_base(yard.ctx, yard.repository.id or 0, "main")


def test_the_base_follows_each_landing(yard: Yard) -> None:
    push_base(yard)
    newer = yard.move_base("", PUSH_BASE)
    push_base(yard)  # before the first went out: one push is enough
    publishing.push_waiting(yard.ctx)
    assert at(yard, "main") == newer
    assert [(row.state, row.note) for row in rows(yard)] == [("done", "")]
    publishing.push_waiting(yard.ctx)
    assert len(rows(yard)) == 1


def test_nothing_is_pushed_unasked(ctx: Context, tmp_path: Path) -> None:
    yard = yard_with_remote(ctx, tmp_path)
    push_base(yard)
    assert rows(yard) == []


def test_a_broken_configuration_stops_no_landing(yard: Yard) -> None:
    yard.move_base("", "[push]\nbase = 7")
    push_base(yard)
    assert [(row.state, row.note[:24]) for row in rows(yard)] == [
        ("failed", "quarterdeck.toml line 2 ")
    ]


def test_others_work_at_the_remote_is_told_and_kept(yard: Yard) -> None:
    elsewhere = yard.human.parent / "elsewhere"
    plain_git(yard.human, "push", "-q", "origin", "main")
    plain_git(yard.human.parent, "clone", "-q", "remote.git", str(elsewhere))
    plain_git(elsewhere, "commit", "-q", "--allow-empty", "-m", "theirs")
    plain_git(elsewhere, "push", "-q", "origin", "main")
    theirs = plain_git(elsewhere, "rev-parse", "main")
    yard.move_base("", PUSH_BASE)
    push_base(yard)
    publishing.push_waiting(yard.ctx)
    assert at(yard, "main") == theirs
    (row,) = rows(yard)
    assert (row.state, "fetch and merge them first" in row.note) == ("failed", True)


def test_a_remote_out_of_reach_is_tried_again_for_an_hour(yard: Yard) -> None:
    remote = yard.human.parent / "remote.git"
    remote.rename(yard.human.parent / "away.git")
    push_base(yard)
    publishing.push_waiting(yard.ctx)
    (row,) = rows(yard)
    assert row.state == "queued"
    assert row.note.endswith("It is tried again by itself.")
    first_try = row.done_at
    publishing.push_waiting(yard.ctx)  # too soon
    assert rows(yard)[0].done_at == first_try
    age(yard, row, tried=timedelta(minutes=30), asked=timedelta(minutes=59))
    (yard.human.parent / "away.git").rename(remote)
    publishing.push_waiting(yard.ctx)
    assert (rows(yard)[0].state, rows(yard)[0].note) == ("done", "")


def test_after_an_hour_it_is_given_up(yard: Yard) -> None:
    (yard.human.parent / "remote.git").rename(yard.human.parent / "away.git")
    push_base(yard)
    age(yard, rows(yard)[0], tried=timedelta(minutes=40), asked=timedelta(minutes=61))
    publishing.push_waiting(yard.ctx)
    assert rows(yard)[0].state == "failed"
    assert rows(yard)[0].note.endswith("Ask again to try once more.")


def age(yard: Yard, row: Push, *, tried: timedelta, asked: timedelta) -> None:
    with yard.ctx.db.write() as db:
        kept = db.get_one(Push, row.id)
        kept.done_at, kept.created_at = utc_now() - tried, utc_now() - asked


def test_a_pull_request_is_opened_once(yard: Yard, gh: Path) -> None:
    request = yard.request(yard.tree(a="1"), summary="It was slow.")
    first = publishing.open_pull(yard.ctx, request.id or 0)
    assert publishing.open_pull(yard.ctx, request.id or 0).id == first.id
    publishing.push_waiting(yard.ctx)
    assert at(yard, "refs/heads/qd/otter/1") == request.head_sha
    assert "--head=qd/otter/1 --base=main --title=One more" in (gh / "called").read_text()
    assert (gh / "body").read_text().startswith("It was slow.\n\nMerge request 1")
    with yard.ctx.db.read() as db:
        assert db.get_one(MergeRequest, request.id).pull_url == URL


def test_without_gh_the_branch_is_there_and_the_way_told(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    request = yard.request(yard.tree(a="1"))
    publishing.open_pull(yard.ctx, request.id or 0, "origin")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        publishing.push_waiting(yard.ctx)
    assert at(yard, "refs/heads/qd/otter/1") == request.head_sha
    (row,) = rows(yard)
    assert (row.state, "gh auth login" in row.note) == ("done", True)


def test_a_branch_that_was_rewritten_is_not_forced(yard: Yard, gh: Path) -> None:
    old = yard.base
    request = yard.request(yard.tree(a="1"), head_sha=old)
    publishing.open_pull(yard.ctx, request.id or 0)
    publishing.push_waiting(yard.ctx)
    plain_git(yard.human, "commit", "-q", "--amend", "-m", "rewritten")
    with yard.ctx.db.write() as db:
        db.get_one(MergeRequest, request.id).head_sha = plain_git(yard.human, "rev-parse", "main")
    again = publishing.open_pull(yard.ctx, request.id or 0)
    publishing.push_waiting(yard.ctx)
    assert at(yard, "refs/heads/qd/otter/1") == old
    with yard.ctx.db.read() as db:
        row = pushes.newest(db, request.id or 0)
    assert row is not None
    assert (row.id, row.state) == (again.id, "failed")
    assert (gh / "called").read_text().count("create") == 1


def test_an_unknown_remote_is_told(yard: Yard) -> None:
    request = yard.request(yard.tree(a="1"))
    publishing.open_pull(yard.ctx, request.id or 0, "upstream")
    publishing.push_waiting(yard.ctx)
    assert "it has origin" in rows(yard)[0].note


def test_a_push_cut_off_by_a_crash_is_done_again(yard: Yard) -> None:
    push_base(yard)
    with yard.ctx.db.write() as db:
        db.get_one(Push, 1).state = "running"
    publishing.push_waiting(yard.ctx)
    assert rows(yard)[0].state == "done"


def test_only_open_ones_can_be_offered(yard: Yard) -> None:
    with pytest.raises(NotFound):
        publishing.open_pull(yard.ctx, 4711)
    merged = yard.request(yard.tree(a="1"), state="merged")
    with pytest.raises(Conflict, match="It is merged"):
        publishing.open_pull(yard.ctx, merged.id or 0)
