"""Risks by what becomes of tests: files and cases removed, cases skipped, fewer assertions.

Counted over the whole change, so that a test which moves to another file is none.
"""

import re
from collections.abc import Iterator

from app.git.diffs import FileDiff
from app.services.change import Change, Risk, added, counted, paths_of, removed
from app.services.sizes import kind_of, language_of

_CASES = re.compile(
    r"^\s*(async\s+)?def test|^\s*(it|test)(\.\w+)*\s*\(\s*[\"'`]|^func (Test|Fuzz|Benchmark)[A-Z_]"
    r"|^\s*#\[(\w+::)*test\b|^\s*@(Parameterized)?Test\b|^\s*(it|test|specify) [\"']"
)
_SKIPS = re.compile(
    r"pytest\.(mark\.)?(skip|xfail)|unittest\.(skip|expectedFailure)|@skip|\.skipTest\("
    r"|\b(it|test|describe|context)\.(skip|todo|fails)\b|\bx(it|describe|test)\s*\("
    r"|\bt\.Skip(f|Now)?\(|#\[ignore\b|@(Disabled|Ignore)\b"
)
_FOCUS = re.compile(r"\b(it|test|describe|context)\.only\b|\bf(it|describe)\s*\(")
_ASSERTIONS = re.compile(
    r"^\s*assert\b|\bassert\w*!?\s*\(|\bself\.assert|\bexpect\w*\s*\(|\bpytest\.raises\b"
    r"|\bt\.(Error|Fatal)f?\(|\b(require|assert)\.[A-Z]|\.should\b"
)


def deleted_files(change: Change) -> Iterator[Risk]:
    found = [f for f in _tests(change) if f.status == "deleted" and language_of(f.path)]
    if found:
        says = f"{counted(len(found), 'test file')} deleted"
        yield Risk("tests_removed", 40, says, paths_of(found))


def fewer_cases(change: Change) -> Iterator[Risk]:
    files = [f for f in _tests(change) if f.status != "deleted"]
    less, where = _fewer(files, _CASES)
    if less > 0:
        yield Risk("tests_removed", 40, f"{counted(less, 'test')} fewer", where)


def skipped(change: Change) -> Iterator[Risk]:
    """Cases of files that were there which no longer run, or may fail; `.only` bars all others."""
    files = [f for f in _tests(change) if f.status != "added"]
    for pattern, says in ((_SKIPS, "skipped or allowed to fail"), (_FOCUS, "run alone")):
        more, where = _more(files, pattern)
        if more > 0:
            yield Risk("tests_weakened", 30, f"{counted(more, 'test')} {says}", where)


def fewer_assertions(change: Change) -> Iterator[Risk]:
    """In files that stay, where no case is missing that would explain it."""
    files = [f for f in _tests(change) if f.status != "deleted"]
    less, where = _fewer(files, _ASSERTIONS)
    if less > 0 and _fewer(files, _CASES)[0] <= 0:
        yield Risk("tests_weakened", 25, f"{counted(less, 'assertion')} fewer", where)


def _tests(change: Change) -> list[FileDiff]:
    """Files of tests, and of the languages whose tests stand beside the code."""
    return [f for f in change.files if kind_of(f.path) == "tests" or language_of(f.path) == "Rust"]


def _fewer(files: list[FileDiff], pattern: re.Pattern[str]) -> tuple[int, tuple[str, ...]]:
    """How many lines of a kind are missing in all, and the files that lost some."""
    lost = [(_count(removed(file), pattern) - _count(added(file), pattern), file) for file in files]
    return sum(less for less, _ in lost), paths_of([file for less, file in lost if less > 0])


def _more(files: list[FileDiff], pattern: re.Pattern[str]) -> tuple[int, tuple[str, ...]]:
    won = [(_count(added(file), pattern) - _count(removed(file), pattern), file) for file in files]
    return sum(more for more, _ in won), paths_of([file for more, file in won if more > 0])


def _count(lines: list[str], pattern: re.Pattern[str]) -> int:
    return sum(pattern.search(line) is not None for line in lines)


RULES = (deleted_files, fewer_cases, skipped, fewer_assertions)
