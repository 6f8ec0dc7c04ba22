"""Two branches of a real repository, compared by what they change and what they use."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.git import symbols_edits
from app.git.clones import Clones
from app.git.cloning import sync
from app.git.symbols_edits import Edits, Reader, Span, changed_files
from app.git.symbols_hints import Hint, compare
from tests.app.git.shell import human_commits, plain_git, write

Make = Callable[[dict[str, str | None]], Span]
SUMS = "def add(a, b):\n    return a + b\n\n\ndef twice(a):\n    return add(a, a)\n"
FILES = {"src/sums.py": SUMS, "src/shop.py": "from src.sums import add\n\n\ntotal = 0\n"}


@pytest.fixture
def branch(human: Path, clones: Clones) -> Make:
    """Makes a branch off one common commit: files to write (None deletes), as a span."""
    fork = human_commits(human, FILES)

    def make(files: dict[str, str | None]) -> Span:
        plain_git(human, "checkout", "-q", "--detach", fork)
        for name, text in files.items():
            if text is None:
                (human / name).unlink()
            else:
                write(human, {name: text})
        head = human_commits(human, {"note.txt": repr(files)})
        plain_git(human, "update-ref", f"refs/heads/made-{head[:8]}", head)
        sync(clones)
        return fork, head

    return make


def read(clones: Clones, *spans: Span) -> list[Edits]:
    found = Reader().read(clones, spans, 30.0)
    return [found[span] for span in spans]


def one_sided(clones: Clones, changing: Span, using: Span) -> list[Hint]:
    compared = compare(*read(clones, changing, using), frozenset())
    assert not compared.other_changes
    return [*compared.one_changes, *compared.both_change]


SHOP = FILES["src/shop.py"]


def test_a_new_signature_meets_a_new_call(clones: Clones, branch: Make) -> None:
    changing = branch({"src/sums.py": SUMS.replace("add(a, b)", "add(a, b, c)")})
    using = branch({"src/shop.py": SHOP + "total = add(1, 2)\n"})
    assert one_sided(clones, changing, using) == [
        Hint("add", "signature", "src/sums.py", 1, "src/shop.py", 5)
    ]


def test_what_is_gone_or_moved_is_told(clones: Clones, branch: Make) -> None:
    add, rest = SUMS[: SUMS.index("def twice")], SUMS[SUMS.index("def twice") :]
    using = branch({"src/shop.py": SHOP + "total = add(1, 2)\n"})
    gone = branch({"src/sums.py": rest})
    moved = branch({"src/sums.py": rest, "src/other.py": add})
    deleted = branch({"src/sums.py": None})
    assert [hint.how for hint in one_sided(clones, gone, using)] == ["removed"]
    assert [hint.how for hint in one_sided(clones, moved, using)] == ["moved"]
    assert [hint.how for hint in one_sided(clones, deleted, using)] == ["removed"]


def test_both_change_one_function(clones: Clones, branch: Make) -> None:
    longer = SUMS.replace("    return a + b", "    a = int(a)\n\n\n\n    return a + b")
    one = branch({"src/sums.py": longer})
    other = branch({"src/sums.py": SUMS.replace("a + b", "b + a")})
    found = one_sided(clones, one, other)
    assert [(hint.name, hint.how) for hint in found] == [("add", "both")]
    said = compare(*read(clones, one, other), frozenset({"src/sums.py"}))
    assert not said.both_change  # it conflicts as text: that is told already


def test_a_file_that_has_its_own_means_its_own(clones: Clones, branch: Make) -> None:
    changing = branch({"src/sums.py": SUMS.replace("add(a, b)", "add(a, b, c)")})
    using = branch({"lib/own.py": "def add(x):\n    return x\n\n\nadd(1)\n"})
    assert one_sided(clones, changing, using) == []


def test_a_renamed_file_defines_what_it_did(clones: Clones, branch: Make) -> None:
    (renamed,) = read(clones, branch({"src/sums.py": None, "lib/sums.py": SUMS}))
    assert renamed.edits["lib/sums.py"].changes == ()


def test_it_says_what_it_does_not_read(
    clones: Clones,
    branch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(symbols_edits, "MAX_BYTES", 200)
    made = branch(
        {"a.c": "int x;\n", "long.py": "x = 1\n" * 100, "b.py": "y = 1\n", "Makefile": "z"}
    )
    (edits,) = read(clones, made)
    assert set(edits.edits) == {"b.py"}
    assert edits.unread == {".c": 1, ".py": 1, ".txt": 1, "Makefile": 1}


def test_what_there_was_no_time_for_is_read_next(clones: Clones, branch: Make) -> None:
    made, reader = branch({"b.py": "y = 1\n"}), Reader()
    assert not reader.read(clones, [made], 0.0)[made].is_whole
    assert reader.read(clones, [made], 30.0)[made].is_whole


def test_names_of_files_may_hold_anything(clones: Clones, branch: Make) -> None:
    names = ["a\nb.py", ":000 x.py", "\u202e.py", "-M.py"]
    spans = [branch(dict.fromkeys(names, "y = 1\n")), branch({"src/sums.py": None})]
    empty = (spans[0][0], spans[0][0])
    found = changed_files(clones, [spans[0], empty, spans[1]])
    assert sorted(file.path for file in found[spans[0]]) == sorted([*names, "note.txt"])
    assert found[empty] == ()
    assert {file.path: bool(file.new_blob) for file in found[spans[1]]} == {
        "note.txt": True,
        "src/sums.py": False,
    }
