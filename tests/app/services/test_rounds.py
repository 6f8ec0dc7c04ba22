"""Rounds on real git: only what the author changed since the look is news, whatever git did."""

from pathlib import Path

import pytest

from app.models import Round
from app.services import diffs, returns, reviews, rounds
from app.services.context import Context
from tests.app.services.desk import Desk
from tests.app.services.yard import git

LINES = "seq 1 40 > long; echo b > b"


@pytest.fixture
def desk(ctx: Context, tmp_path: Path) -> Desk:
    desk = Desk(ctx, tmp_path / "ship")
    desk.human_commits({"long": "".join(f"{n}\n" for n in range(1, 41)), "b": "b\n"})
    desk.human_commits({"other": "other\n"})
    return desk


def of(desk: Desk, number: int) -> list[Round]:
    with desk.ctx.db.read() as db:
        return rounds.of(db, number)


def changed(diff: diffs.StoredDiff) -> dict[str, list[str]]:
    return {
        file.path: [line.kind + line.text for hunk in file.hunks for line in hunk.lines
                    if line.kind in "+-"]
        for file in diff.files
    }  # fmt: skip


def test_nothing_is_since_before_the_first_look(desk: Desk) -> None:
    number = desk.offer("echo mine > mine")
    desk.renew(number, "echo more >> mine")
    assert diffs.since_seen(desk.ctx, merge_request_id=number) is None
    assert [(r.number, r.is_rewritten, r.why) for r in of(desk, number)] == [
        (1, False, ""),
        (2, False, ""),
    ]


def test_new_commits_show_what_they_changed_only(desk: Desk) -> None:
    number = desk.offer("sed -i s/^2$/two/ long; echo mine > mine")
    desk.look(number)
    looked_at = desk.get(number).head_sha
    desk.renew(number, "echo more >> mine")
    assert changed(desk.since(number)) == {"mine": ["+more"]}
    assert desk.since(number).since_sha == looked_at
    assert [commit.subject for commit in desk.since(number).commits] == ["echo more >> mine"]
    assert desk.gate(number).states == {"long": "shown", "mine": "changed"}


def test_a_rebase_is_no_news(desk: Desk) -> None:
    """The base changed the very same file; the author only put the same work onto it."""
    number = desk.offer("sed -i s/^2$/two/ long; echo mine > mine", care="study")
    desk.look(number, "long", ticked=True)
    desk.look(number, "mine")
    desk.human_commits({"long": "".join(f"{n}\n" for n in range(1, 40)) + "forty\n"})
    head = desk.renew(number, "sed -i s/^2$/two/ long; echo mine > mine", start="main")
    assert desk.get(number).merge_base_sha == desk.base()
    assert desk.since(number).files == []
    assert desk.gate(number).states == {"long": "ticked", "mine": "shown"}
    assert [r.is_rewritten for r in of(desk, number)] == [False, True]
    assert of(desk, number)[1].head_sha == head


def test_a_rebase_with_a_change_in_it_shows_the_change(desk: Desk) -> None:
    number = desk.offer("sed -i s/^2$/two/ long; echo mine > mine")
    desk.look(number)
    desk.human_commits({"long": "".join(f"{n}\n" for n in range(1, 40)) + "forty\n"})
    desk.renew(number, "sed -i 's/^2$/two/;s/^9$/nine/' long; echo mine > mine", start="main")
    assert changed(desk.since(number)) == {"long": ["-9", "+nine"]}
    assert desk.gate(number).missing == ("long",)


def test_what_was_not_looked_at_stays_news_over_rounds(desk: Desk) -> None:
    """Neither a carried look nor a look at another file hides what a round changed."""
    number = desk.offer("sed -i s/^2$/two/ long; echo mine > mine; echo x > x")
    desk.look(number)
    first = desk.get(number).head_sha
    desk.human_commits({"long": "".join(f"{n}\n" for n in range(1, 40)) + "forty\n"})
    desk.renew(number, "sed -i s/^2$/two/ long; echo mine2 > mine; echo x2 > x", start="main")
    assert desk.gate(number).states == {"long": "shown", "mine": "changed", "x": "changed"}
    desk.look(number, "mine")
    desk.renew(number, "echo more >> long")
    assert desk.since(number).since_sha == first
    assert changed(desk.since(number)) == {"long": ["+more"], "x": ["-x", "+x2"]}
    assert desk.gate(number).states == {"long": "changed", "mine": "shown", "x": "changed"}


def test_merging_the_base_in_is_no_news_either(desk: Desk) -> None:
    number = desk.offer("sed -i s/^2$/two/ long")
    desk.look(number)
    desk.human_commits({"long": "".join(f"{n}\n" for n in range(1, 40)) + "forty\n"})
    desk.renew(number, "git merge -q --no-edit main")
    assert desk.since(number).files == []
    assert desk.gate(number).missing == ()
    assert not of(desk, number)[1].is_rewritten


def test_a_conflict_that_was_resolved_is_compared_as_it_was(desk: Desk) -> None:
    number = desk.offer("sed -i s/^2$/two/ long; echo mine > mine")
    desk.look(number)
    desk.human_commits({"long": "1\nII\n3\n"})
    desk.preflight(number)
    assert desk.states(number) == ["conflicted"]
    desk.renew(number, "printf '1\\ntwo or II\\n3\\n' > long; echo mine > mine", start="main")
    assert desk.since(number).unmerged == ("long",)
    assert "+two or II" in changed(desk.since(number))["long"]
    assert set(changed(desk.since(number))) == {"long"}
    assert desk.gate(number).states == {"long": "changed", "mine": "shown"}
    assert of(desk, number)[1].why == "Conflicts with main."


def test_a_file_taken_back_by_the_base_and_by_the_author(desk: Desk) -> None:
    """Deleted on one side, edited on the other; then the author gives in."""
    number = desk.offer("echo edited > b; echo mine > mine")
    desk.look(number)
    git(desk.path, "rm", "-q", "b")
    git(desk.path, "commit", "-qm", "b is gone")
    desk.renew(number, "echo mine > mine", start="main")
    assert [(f.path, f.status) for f in desk.since(number).files] == [("b", "deleted")]
    assert desk.gate(number).states == {"mine": "shown"}


def test_a_branch_that_was_moved_to_something_else(desk: Desk) -> None:
    number = desk.offer("echo mine > mine")
    desk.look(number)
    git(desk.path, "branch", "-D", "side")
    desk.renew(number, "echo yours > yours", start="main~1")
    assert of(desk, number)[1].is_rewritten
    assert {f.path: f.status for f in desk.since(number).files} == {
        "mine": "deleted",
        "yours": "added",
    }
    assert desk.gate(number).states == {"yours": "new"}


def test_a_round_says_what_asked_for_it(desk: Desk) -> None:
    number = desk.offer("echo mine > mine")
    for line in (1, None):
        reviews.comment(desk.ctx, **desk.verdict(number), body="Why?", path="mine", line=line)
    reviews.request_changes(desk.ctx, **desk.verdict(number), body="Shorter.")
    desk.renew(number, "echo m > mine")
    desk.renew(number, "echo mm > mine")
    assert [r.why for r in of(desk, number)] == ["", "Shorter. · 2 comments", ""]
    returns.send_conflict(desk.ctx, number)
    assert desk.decisions("send_back")[0].actor == "system"


def test_a_base_that_moves_computes_no_interdiff_twice(desk: Desk) -> None:
    number = desk.offer("echo mine > mine")
    desk.look(number)
    desk.renew(number, "echo more > more")
    first = desk.since(number).computed_at
    desk.human_commits({"unrelated": "x\n"})
    desk.preflight(number)
    assert desk.since(number).computed_at == first


@pytest.mark.parametrize(
    ("commands", "path"),
    [
        ("git mv long longer && sed -i s/^2$/two/ longer", "longer"),
        ("sed -i 's/$/\\r/' long", "long"),
        ("chmod +x long", "long"),
        ("ln -sf other long", "long"),
        ("head -c 3000000 /dev/zero > data.bin", "data.bin"),
        (f"mkdir lib; git update-index --add --cacheinfo 160000,{'ab' * 20},lib", "lib"),
        ("rm long", "long"),
        (": > empty", "empty"),
    ],
)
def test_every_kind_of_change_is_seen_by_its_content(desk: Desk, commands: str, path: str) -> None:
    number = desk.offer(commands, care="read")
    assert desk.gate(number).states == {path: "new"}
    desk.look(number)
    assert desk.gate(number).missing == ()
    desk.human_commits({"unrelated": "x\n"})
    desk.renew(number, commands, start="main")
    assert desk.gate(number).states == {path: "shown"}
    assert desk.since(number).files == []


def test_renamed_and_edited_on_both_sides(desk: Desk) -> None:
    number = desk.offer("git mv long longer; sed -i s/^2$/two/ longer")
    desk.look(number)
    desk.human_commits({"long": "".join(f"{n}\n" for n in range(1, 40)) + "forty\n"})
    desk.preflight(number)
    assert desk.states(number) == ["open"]
    desk.renew(number, "git mv long longer; sed -i 's/^2$/two/;s/^9$/nine/' longer", start="main")
    assert changed(desk.since(number)) == {"longer": ["-9", "+nine"]}
    assert desk.gate(number).states == {"longer": "changed"}


@pytest.mark.slow
def test_a_huge_lock_file_and_a_huge_binary_are_listed_not_loaded(desk: Desk) -> None:
    number = desk.offer(
        "seq 1 1000000 > uv.lock; head -c 104857600 /dev/urandom > film.bin; echo x > x"
    )
    stored = diffs.stored_diff(desk.ctx, merge_request_id=number)
    assert stored is not None
    lock = next(file for file in stored.files if file.path == "uv.lock")
    assert (lock.additions, lock.is_cut, lock.hunks) == (1_000_000, True, ())
    film = next(file for file in stored.files if file.path == "film.bin")
    assert (film.is_binary, film.additions) == (True, 0)
    assert len(film.new_blob) == len("100644:") + 40
    size = diffs.request_path(desk.ctx, number, desk.get(number).head_sha).stat().st_size
    assert size < 10_000
    desk.look(number)
    desk.renew(number, "seq 1 1000001 > uv.lock")
    assert desk.gate(number).missing == ("uv.lock",)
