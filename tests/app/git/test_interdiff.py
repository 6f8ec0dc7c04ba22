"""Interdiffs: what the base did is never shown as the author's, what the author did always is."""

import subprocess

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.git.clones import Clones
from app.git.interdiff import since

FILES, LINES = ("a", "b", "c"), 12  # every third line is far enough from the next to merge
places = st.sets(st.tuples(st.sampled_from(FILES), st.integers(0, LINES - 1)), max_size=8)


def tree(clones: Clones, **edits: set[tuple[str, int]]) -> str:
    """A tree whose files have each edited line in its editor's words."""
    entries = []
    for name in FILES:
        lines = [f"{name} {number}" for number in range(LINES * 4)]
        for editor, edited in edits.items():
            for _, number in (place for place in edited if place[0] == name):
                lines[number * 4] = f"{name} {number} by {editor}"
        blob = _git(clones, "hash-object", "-w", "--stdin", given="\n".join(lines))
        entries.append(f"100644 blob {blob}\t{name}\n")
    return _git(clones, "mktree", given="".join(entries))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(places, places, places)
def test_only_the_authors_later_edits_are_since(
    clones: Clones,
    author: set[tuple[str, int]],
    base: set[tuple[str, int]],
    later: set[tuple[str, int]],
) -> None:
    base, later = base - author, later - author - base
    found = since(
        clones,
        tree(clones),
        tree(clones, author=author),
        tree(clones, base=base),
        tree(clones, base=base, author=author, later=later),
    )
    added = {
        line.text
        for file in found.files
        for hunk in file.hunks
        for line in hunk.lines
        if line.kind == "+"
    }
    assert added == {f"{name} {number} by later" for name, number in later}
    assert found.unmerged == ()


def test_a_path_that_does_not_merge_is_compared_as_it_was(clones: Clones) -> None:
    here = {("a", 3), ("b", 5)}
    trees = (tree(clones), tree(clones, author=here), tree(clones, base={("a", 3)}))
    resolved = tree(clones, author={("b", 5)}, both={("a", 3)})
    found = since(clones, *trees, resolved)
    assert [file.path for file in found.files] == ["a"]
    assert found.unmerged == ("a",)
    assert since(clones, *trees, trees[1]).files == ()  # the author's side won


def _git(clones: Clones, *args: str, given: str) -> str:
    done = subprocess.run(
        ["git", *args], cwd=clones.gate, input=given, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
