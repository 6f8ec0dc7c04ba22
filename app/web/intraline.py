"""Which characters of two lines differ, for the marks inside a changed line. Pure and bounded."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from app.git.patches import Line

Span = tuple[int, int]  # first character and the one behind the last
Spans = tuple[Span, ...]

_TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)
MAX_CHARACTERS = 600  # of a line that is looked at
MAX_TOKENS = 60  # of what differs that is compared token by token; longer is one mark
MIN_SHARED = 0.4  # of the longer line: with less in common the two are no versions of one line
WINDOW = 4  # how far a removed line looks for its successor among the added ones


def marks(lines: Sequence[Line]) -> dict[int, Spans]:
    """By index into a hunk's lines, the spans that changed, where a line has a counterpart."""
    found: dict[int, Spans] = {}
    at = 0
    while at < len(lines):
        removed = _run(lines, at, "-")
        added = _run(lines, removed, "+")
        if at < removed < added:
            found |= _block(lines, range(at, removed), range(removed, added))
        at = max(added, at + 1)
    return found


def differing(old: str, new: str) -> tuple[Spans, Spans] | None:
    """What of `old` went and what of `new` came; None where they have too little in common."""
    longer = max(len(old), len(new))
    if longer > MAX_CHARACTERS or longer == 0:
        return None
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    head = _shared(before, after)
    tail = _shared(before[head:][::-1], after[head:][::-1])
    left, right = before[head : len(before) - tail], after[head : len(after) - tail]
    gone, came = _compared(left, right)
    kept = sum(map(len, before)) - sum(len(token) for at, token in enumerate(left) if at in gone)
    blank = len(old) - len(old.lstrip())
    if kept - blank < MIN_SHARED * (longer - blank):
        return None
    start = sum(map(len, before[:head]))
    return _spans(left, gone, start), _spans(right, came, start)


def _run(lines: Sequence[Line], at: int, kind: str) -> int:
    """The index behind the lines of that kind; a note on a missing last newline belongs to them."""
    while at < len(lines) and lines[at].kind in (kind, "\\"):
        at += 1
    return at


def _block(lines: Sequence[Line], removed: range, added: range) -> dict[int, Spans]:
    """Each removed line with the first alike of the next few added lines, in order."""
    found: dict[int, Spans] = {}
    free = added.start
    for at in removed:
        for other in range(free, min(free + WINDOW, added.stop)):
            if "\\" in (lines[at].kind, lines[other].kind):
                continue
            spans = differing(lines[at].text, lines[other].text)
            if spans is not None:
                found[at], found[other] = spans
                free = other + 1
                break
    return found


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many tokens both begin with."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _compared(left: list[str], right: list[str]) -> tuple[set[int], set[int]]:
    """The indices of tokens that have no equal on the other side."""
    gone, came = set(range(len(left))), set(range(len(right)))
    if 1 < len(left) <= MAX_TOKENS and 1 < len(right) <= MAX_TOKENS:
        for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
            if "".join(left[block.a : block.a + block.size]).strip():
                gone -= set(range(block.a, block.a + block.size))
                came -= set(range(block.b, block.b + block.size))
    return gone, came


def _spans(tokens: list[str], chosen: set[int], start: int) -> Spans:
    """The chosen tokens as spans, neighbours joined."""
    spans: list[Span] = []
    for at, token in enumerate(tokens):
        end = start + len(token)
        if at in chosen:
            if spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
        start = end
    return tuple(spans)
