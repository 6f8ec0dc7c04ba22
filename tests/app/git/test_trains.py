"""Trains: every prefix is what git itself gives, a car in conflict stays behind, ids are fixed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.git.clones import Clones
from app.git.cloning import sync
from app.git.merging import Strategy
from app.git.repositories import Identity
from app.git.trains import Car, Left, Train, build
from tests.app.git.shell import human_commits, plain_git

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WHO = Identity("Ada Human", "ada@example.org")


def branch(human: Path, name: str, *commits: dict[str, str], start: str = "main") -> str:
    """A branch with these commits, each by an agent; its head."""
    plain_git(human, "checkout", "-q", "-B", name, start)
    for number, files in enumerate(commits):
        for path, content in files.items():
            (human / path).write_text(content)
        plain_git(human, "add", "-A")
        author = ("--author", "Bo Agent <bo@agents>", "--date", f"2025-12-0{number + 1}T10:00:00Z")
        plain_git(human, "commit", "-q", "--allow-empty", "-m", f"{name} {number}", *author)
    return plain_git(human, "rev-parse", "HEAD")


def car(number: int, head: str, strategy: Strategy = "merge") -> Car:
    return Car(number, head, f"Merge #{number}", WHO, AT, strategy)


def log(clones: Clones, train: Train, form: str) -> list[str]:
    span = f"{train.base_sha}..{train.steps[-1].commit_sha}"
    return plain_git(clones.gate, "log", "--reverse", f"--format={form}", span).splitlines()


def files(clones: Clones, tree: str) -> list[str]:
    return plain_git(clones.gate, "ls-tree", "-r", "--name-only", tree).splitlines()


@pytest.mark.parametrize("strategy", ["merge", "squash", "rebase"])
def test_every_prefix_holds_its_cars(
    human: Path, clones: Clones, base: str, strategy: Strategy
) -> None:
    heads = [branch(human, f"b{n}", {f"f{n}": f"{n}\n"}) for n in range(3)]
    clash = branch(human, "clash", {"f1": "other\n"})
    sync(clones)
    cars = [car(n, head, strategy) for n, head in enumerate(heads)]
    cars.insert(2, car(7, clash, strategy))
    train = build(clones, base, cars)
    assert train.left == (Left(7, ("f1",)),)
    before = files(clones, base)
    for number, step in enumerate(train.steps):
        assert (step.merge_request_id, step.head_sha) == (number, heads[number])
        now = files(clones, step.tree_sha)
        assert sorted(set(now) - set(before)) == [f"f{n}" for n in range(number + 1)]
        assert plain_git(clones.gate, "rev-parse", f"{step.commit_sha}^{{tree}}") == step.tree_sha
    assert build(clones, base, cars) == train


def test_a_rebase_keeps_authors_and_makes_no_merge(human: Path, clones: Clones, base: str) -> None:
    one = branch(human, "one", {"a": "1\n"}, {"b": "1\n"})
    two = branch(human, "two", {"c": "1\n"}, {"d": "1\n"})
    sync(clones)
    train = build(clones, base, [car(1, one, "rebase"), car(2, two, "rebase")])
    assert train.steps[0].commit_sha == one  # it stood on the base already
    assert log(clones, train, "%s|%an|%ae|%as|%cn") == [
        "one 0|Bo Agent|bo@agents|2025-12-01|Ada Human",
        "one 1|Bo Agent|bo@agents|2025-12-02|Ada Human",
        "two 0|Bo Agent|bo@agents|2025-12-01|Ada Human",
        "two 1|Bo Agent|bo@agents|2025-12-02|Ada Human",
    ]
    assert all(len(line.split()) == 1 for line in log(clones, train, "%P"))
    assert [step.note for step in train.steps] == ["", ""]


def test_what_cannot_be_rebased_is_squashed(human: Path, clones: Clones) -> None:
    """The branch conflicts on its way and a merge resolved it: only the whole is right."""
    side = branch(human, "side", {"README.md": "theirs\n"}, {"more": "x\n"})
    plain_git(human, "checkout", "-q", "main")
    base = human_commits(human, {"README.md": "ours\n"})
    plain_git(human, "checkout", "-q", "side")
    plain_git(human, "merge", "-q", "main", ok=False)
    (human / "README.md").write_text("both\n")
    plain_git(human, "commit", "-qam", "resolved")
    resolved = plain_git(human, "rev-parse", "HEAD")
    sync(clones)
    train = build(clones, base, [car(1, resolved, "rebase"), car(2, side, "rebase")])
    assert [step.merge_request_id for step in train.steps] == [1]
    assert "Squashed" in train.steps[0].note
    assert log(clones, train, "%s|%P") == [f"Merge #1|{base}"]
    assert plain_git(clones.gate, "show", f"{train.steps[0].tree_sha}:README.md") == "both"


def test_a_harmless_merge_of_the_base_disappears(human: Path, clones: Clones) -> None:
    branch(human, "side", {"one": "1\n"})
    plain_git(human, "checkout", "-q", "main")
    base = human_commits(human, {"base": "b\n"})
    plain_git(human, "checkout", "-q", "side")
    plain_git(human, "merge", "-q", "--no-edit", "main")
    head = branch(human, "side", {"two": "2\n"}, start="side")
    sync(clones)
    train = build(clones, base, [car(1, head, "rebase")])
    assert log(clones, train, "%s") == ["side 0", "side 0"]
    assert "merge" not in "".join(log(clones, train, "%s")).lower()


@pytest.mark.parametrize("strategy", ["merge", "squash", "rebase"])
def test_a_branch_that_brings_nothing_is_left(
    human: Path, clones: Clones, base: str, strategy: Strategy
) -> None:
    head = branch(human, "one", {"a": "1\n"})
    sync(clones)
    again = build(clones, base, [car(1, base, strategy), car(2, head, strategy)])
    assert [left.merge_request_id for left in again.left] == [1]
    assert again.left[0].paths == ()
    assert build(clones, base, []) == Train(base, (), ())


def test_odd_words_and_empty_commits_ride(human: Path, clones: Clones, base: str) -> None:
    empty = branch(human, "empty", {}, {"a": "1\n"}, {})
    late = branch(human, "late", {"z": "z\n"})
    sync(clones)
    odd = Car(1, late, "\0", Identity("<>", ""), AT, "squash")
    train = build(clones, base, [odd, car(2, empty, "rebase")])
    assert [step.merge_request_id for step in train.steps] == [1, 2]
    assert log(clones, train, "%an|%s") == ["unknown|", "Bo Agent|empty 1"]
