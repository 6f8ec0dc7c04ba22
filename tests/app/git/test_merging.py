"""Merges without a checkout equal those that git makes in one."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import MergeConflict, NothingToMerge
from app.git.clones import Clones
from app.git.cloning import sync
from app.git.merging import (
    commit_tree,
    conflict_hunks,
    merge_commit,
    merge_tree,
    revert_commit,
    tree_of,
)
from app.git.repositories import Identity
from tests.app.git.shell import human_commits, plain_git, write

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
WHO = Identity("Ada <x>", "ada@example.org")
Edit = Callable[[Path], None]


def text(name: str, content: str) -> Edit:
    return lambda root: write(root, {name: content})


def rename(root: Path) -> None:
    plain_git(root, "mv", "README.md", "docs.md")


def mode(root: Path) -> None:
    (root / "src" / "sums.py").chmod(0o755)


def binary(seed: int) -> Edit:
    return lambda root: (root / "data.bin").write_bytes(bytes([0, seed]) * 50) and None  # type: ignore[func-returns-value]


def delete(root: Path) -> None:
    (root / "README.md").unlink()


def folder(root: Path) -> None:
    write(root, {"thing/inside": "x"})


def link(root: Path) -> None:
    (root / "run.sh").unlink()
    (root / "run.sh").symlink_to("src/sums.py")


LONG = "# Sums\n\nOne\nTwo\nThree\nFour\nFive\n"
CASES: dict[str, tuple[Edit, Edit]] = {
    "both edit different lines": (
        text("README.md", LONG.replace("One", "1")),
        text("README.md", LONG.replace("Five", "5")),
    ),
    "both edit one line": (
        text("README.md", LONG.replace("One", "1")),
        text("README.md", LONG.replace("One", "I")),
    ),
    "rename and edit": (rename, text("README.md", LONG.replace("One", "1"))),
    "rename and delete": (rename, delete),
    "mode and edit": (mode, text("src/sums.py", "def add(a, b):\n    return b + a\n")),
    "binary and binary": (binary(1), binary(2)),
    "same binary": (binary(1), binary(1)),
    "delete and edit": (delete, text("README.md", LONG + "Six\n")),
    "both delete": (delete, delete),
    "both add the same": (text("new", "x\n"), text("new", "x\n")),
    "both add other things": (text("new", "x\n"), text("new", "y\n")),
    "file and folder": (text("thing", "x\n"), folder),
    "link and edit": (link, text("run.sh", "#!/bin/sh\necho ho\n")),
    "union by attribute": (
        text(".gitattributes", "list merge=union\n"),
        text("list", "a\n"),
    ),
}


def two_branches(human: Path, ours: Edit, theirs: Edit) -> tuple[str, str]:
    """Branches `ours` and `theirs`, each one edit away from main."""
    tips = []
    for name, edit in (("ours", ours), ("theirs", theirs)):
        plain_git(human, "checkout", "-q", "-b", name, "main")
        edit(human)
        tips.append(human_commits(human, {f"only-{name}": name}))
    return tips[0], tips[1]


@pytest.mark.parametrize("case", CASES)
def test_it_merges_as_git_does_in_a_checkout(human: Path, clones: Clones, case: str) -> None:
    ours, theirs = two_branches(human, *CASES[case])
    sync(clones)
    outcome = merge_tree(clones, ours, theirs)
    plain_git(human, "checkout", "-q", "--detach", ours)
    plain_git(human, "merge", "-q", "--no-edit", "--no-ff", theirs, ok=False)
    unmerged = plain_git(human, "diff", "--name-only", "--diff-filter=U", "-z")
    conflicting = sorted({name for name in unmerged.split("\0") if name})
    # a file in the way of a folder is set aside under its side's name, HEAD or the commit's id
    found = [conflict.path for conflict in outcome.conflicts]
    assert sorted(x.partition("~")[0] for x in found) == [x.partition("~")[0] for x in conflicting]
    if conflicting:
        assert outcome.tree is None
        with pytest.raises(MergeConflict) as caught:
            merge_commit(clones, ours, theirs, "m", WHO, AT)
        assert list(caught.value.paths) == found
    else:
        assert outcome.tree == plain_git(human, "rev-parse", "HEAD^{tree}")
        made = merge_commit(clones, ours, theirs, "m", WHO, AT)
        assert plain_git(clones.gate, "rev-parse", f"{made}^1", f"{made}^2").split() == [
            ours,
            theirs,
        ]


def test_conflicts_have_kinds_and_hunks(human: Path, clones: Clones) -> None:
    def ours(root: Path) -> None:
        write(root, {"README.md": LONG.replace("Three", "3"), "new": "x\n"})
        (root / "run.sh").unlink()

    def theirs(root: Path) -> None:
        write(root, {"README.md": LONG.replace("Three", "III"), "new": "y\n", "run.sh": "other\n"})

    outcome = merge_tree(*_synced(clones, two_branches(human, ours, theirs)))
    kinds = {conflict.path: conflict.kind for conflict in outcome.conflicts}
    assert kinds == {"README.md": "contents", "new": "add/add", "run.sh": "modify/delete"} or (
        kinds["run.sh"] == "modify/delete" and kinds["README.md"] == "contents"
    )
    told = conflict_hunks(clones, outcome)
    assert "## README.md (contents)" in told
    assert "-3" not in told
    for piece in ("<<<<<<<", "\n3\n=======\nIII\n", ">>>>>>>", "@@ line 2 @@"):
        assert piece in told
    assert len(conflict_hunks(clones, outcome, limit_characters=50)) < 130


def _synced(clones: Clones, tips: tuple[str, str]) -> tuple[Clones, str, str]:
    sync(clones)
    return (clones, *tips)


def test_it_is_deterministic(human: Path, clones: Clones) -> None:
    ours, theirs = two_branches(human, *CASES["both edit different lines"])
    sync(clones)
    first = merge_commit(clones, ours, theirs, "Merge\n\nbody", WHO, AT)
    assert merge_commit(clones, ours, theirs, "Merge\n\nbody", WHO, AT) == first
    shown = plain_git(clones.gate, "log", "-1", "--format=%an|%ae|%at|%cn|%ct|%B", first)
    assert shown == "Ada x|ada@example.org|1767323045|Ada x|1767323045|Merge\n\nbody"
    squashed = merge_commit(
        clones, ours, theirs, "m", Identity("", ""), AT, squash=True, committer=WHO
    )
    shown = plain_git(clones.gate, "log", "-1", "--format=%P|%an|%cn", squashed)
    assert shown == f"{ours}|unknown|Ada x"
    assert tree_of(clones, squashed) == tree_of(clones, first)


def test_it_has_nothing_to_merge(human: Path, clones: Clones, base: str) -> None:
    new = human_commits(human, {"a": "a"})
    sync(clones)
    with pytest.raises(NothingToMerge):
        merge_commit(clones, new, base, "m", WHO, AT)
    same = commit_tree(clones, tree_of(clones, new), (base,), "same", WHO, AT)
    with pytest.raises(NothingToMerge):
        merge_commit(clones, new, same, "m", WHO, AT, squash=True)


def test_it_reverts_what_landed(human: Path, clones: Clones, base: str) -> None:
    plain_git(human, "checkout", "-q", "-b", "side")
    rename(human)
    side = human_commits(human, {"extra": "x\n", "src/sums.py": "broken\n"})
    sync(clones)
    merged = merge_commit(clones, base, side, "m", WHO, AT)
    later = commit_tree(clones, tree_of(clones, merged), (merged,), "later", WHO, AT)
    undone = revert_commit(clones, merged, later, "Revert", WHO, AT)
    assert tree_of(clones, undone) == tree_of(clones, base)
    assert plain_git(clones.gate, "rev-parse", f"{undone}^") == later
    with pytest.raises(NothingToMerge):
        revert_commit(clones, merged, undone, "Revert", WHO, AT)
    two = human_commits(human, {"src/more.py": "more\n"})
    sync(clones)
    both = revert_commit(clones, two, two, "Revert", WHO, AT, before=base)
    assert tree_of(clones, both) == tree_of(clones, base)
    plain_git(human, "checkout", "-q", "-b", "on", "side")
    on = human_commits(human, {"src/sums.py": "broken differently\n"})
    sync(clones)
    with pytest.raises(MergeConflict, match=r"src/sums\.py"):
        revert_commit(clones, merged, on, "Revert", WHO, AT)
