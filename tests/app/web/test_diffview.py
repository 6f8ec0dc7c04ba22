"""Rows of a diff: the same text as the input, escaped, with marks where a line changed."""

import time
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from app.errors import NotFound
from app.git.diffs import FileDiff
from app.git.patches import Hunk, Line
from app.models import Comment
from app.web import diffview
from app.web.ansi import reveal
from tests.app import factories as make
from tests.app.web.test_hostile import PAYLOADS, check

TEXTS = st.text(st.characters(exclude_characters="\n", exclude_categories=()), max_size=60)


def rows(file: FileDiff) -> BeautifulSoup:
    html = "".join(rows for rows, _ in diffview.pieces(file, {}))
    # the parser would shorten a cell of nothing but blanks; the page keeps them
    kept = {"preserve_whitespace_tags": {"td"}}
    return BeautifulSoup(f"<table>{html}</table>", "html.parser", **kept)


def told(file: FileDiff) -> list[tuple[str, str, str, str]]:
    """(kind, old number, new number, text) of each row that is a line."""
    kinds = {"add": "+", "del": "-", "no-newline": "\\"}
    found = []
    for row in rows(file).select("tr:not(.hunk)"):
        old, new, text = (cell.text for cell in row.find_all("td"))
        found.append((kinds.get("".join(row.get("class", [])), " "), old, new, text))
    return found


def lines_of(file: FileDiff) -> list[tuple[str, str, str, str]]:
    return [
        (line.kind, str(line.old_no or ""), str(line.new_no or ""), reveal(line.text))
        for hunk in file.hunks
        for line in hunk.lines
    ]


@given(st.lists(st.tuples(st.sampled_from(" +-\\"), TEXTS), max_size=12), TEXTS)
def test_the_rows_say_what_the_lines_say(said: list[tuple[str, str]], header: str) -> None:
    lines = [
        Line(kind, None if kind in "+\\" else n, None if kind in "-\\" else n, text)
        for n, (kind, text) in enumerate(said, 1)
    ]
    file = make.file_diff("a.py", [], [], hunks=(Hunk(header, 1, 1, tuple(lines)),))
    assert told(file) == lines_of(file)
    check(str(rows(file)), "rows")


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=4))
def test_marks_never_change_the_text(line: str, words: list[str]) -> None:
    changed = [line.replace(line[:5], word) for word in words]
    file = make.file_diff("a.py", [line], changed)
    assert told(file) == lines_of(file)


@pytest.mark.parametrize("evil", PAYLOADS)
def test_hostile_lines_stay_text_inside_marks_too(evil: str) -> None:
    file = make.file_diff("a.py", [f"say({evil}, 1, one)"], [f"say({evil}, 2, one)"])
    assert told(file) == lines_of(file)
    check(str(rows(file)), evil)


def test_the_words_that_changed_are_marked() -> None:
    page = rows(make.file_diff("a.py", ["    return self.old(x)"], ["    return self.new(x)"]))
    assert [mark.text for mark in page.select(".del b")] == ["old"]
    assert [mark.text for mark in page.select(".add b")] == ["new"]


def test_a_line_that_was_replaced_by_another_has_no_marks() -> None:
    page = rows(make.file_diff("a.py", ["import os"], ["    return b'%d' % total"]))
    assert page.select("b") == []


def test_an_insertion_before_a_changed_line_does_not_hide_the_change() -> None:
    before = ["total = count(items)"]
    page = rows(make.file_diff("a.py", before, ["# how many there are", "total = size(items)"]))
    assert [mark.text for mark in page.select(".add b")] == ["size"]


def test_rows_are_split_after_the_line_that_was_remarked_on() -> None:
    said = [Comment(merge_request_id=1, head_sha="", path="a.py", line=2, body="Why?")]
    file = make.file_diff("a.py", ["x"], ["y", "z"])
    parts = list(diffview.pieces(file, {("a.py", "new", 2): said, ("b.py", "new", 1): said}))
    assert [comments for _, comments in parts] == [said, ()]
    assert parts[0][0].endswith('<td class="">y</td></tr>'.replace(' class=""', ""))


def test_a_file_is_named_by_a_key_that_any_path_has() -> None:
    names = ["a.py", "b\u202e.py", "c\x1b[2J.py", "d\udcff.py", "é.py"]
    files = [make.file_diff(name, [], ["x"]) for name in names]
    assert len({diffview.key(name) for name in names}) == len(names)
    assert [diffview.path_of(files, diffview.key(name)) for name in names] == names
    with pytest.raises(NotFound, match="no such file"):
        diffview.path_of(files, "0" * 18)


def test_the_time_grows_no_faster_than_the_lines() -> None:
    def seconds(count: int) -> float:
        old = [f"    item_{n} = make(alpha, beta, {n}, gamma) + rest[{n}]" for n in range(count)]
        new = [line.replace("beta", "delta").replace("rest", "tail") for line in old]
        file = make.file_diff("a.py", old, new)
        started = time.process_time()
        assert sum(len(html) for html, _ in diffview.pieces(file, {})) > count * 100
        return time.process_time() - started

    taken = [min(seconds(count) for _ in range(3)) for count in (500, 1000, 2000)]
    assert all(more < 4 * less for less, more in pairwise(taken))
