"""How large a change is, told apart by kind of file; its languages and areas. Pure, by paths."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import PurePosixPath

from app.git.diffs import FileDiff, is_generated, is_lock

KINDS = ("code", "tests", "docs", "generated", "locks")
_KNOWN_PATHS = 1 << 15  # every rule asks for the kinds of the same files
TOP = "."  # the area of files that lie in no directory

_TESTS = re.compile(
    r"(^|/)(tests?|__tests__|specs?|testdata|e2e|testing|fixtures)/"
    r"|(^|/)(test_[^/]*|conftest)\.py$"
    r"|_(test|spec)\.[a-z]+$"
    r"|\.(test|spec|cy)\.[cm]?[jt]sx?$"
    r"|tests?\.(java|kt|cs|swift|scala)$"
)
_DOCS = re.compile(
    r"\.(md|mdx|markdown|rst|adoc|asciidoc|tex)$"
    r"|(^|/)(docs?|documentation)/.*\.(txt|png|jpe?g|gif|svg|webp|pdf)$"
    r"|(^|/)(readme|changelog|changes|history|news|authors|contributors|contributing)(\.txt)?$"
)
_LANGUAGES = {
    "Python": "py pyi",
    "JavaScript": "js jsx mjs cjs",
    "TypeScript": "ts tsx mts cts",
    "Go": "go",
    "Rust": "rs",
    "C": "c h",
    "C++": "cc cpp cxx hh hpp hxx",
    "C#": "cs",
    "Java": "java",
    "Kotlin": "kt kts",
    "Scala": "scala",
    "Swift": "swift",
    "Objective-C": "m mm",
    "Ruby": "rb",
    "PHP": "php",
    "Perl": "pl pm",
    "Lua": "lua",
    "R": "r",
    "Julia": "jl",
    "Elixir": "ex exs",
    "Erlang": "erl",
    "Haskell": "hs",
    "OCaml": "ml mli",
    "Clojure": "clj cljs",
    "Zig": "zig",
    "Dart": "dart",
    "CUDA": "cu cuh",
    "Shell": "sh bash zsh fish",
    "PowerShell": "ps1",
    "SQL": "sql",
    "HTML": "html htm jinja j2",
    "CSS": "css scss sass less",
    "Vue": "vue",
    "Svelte": "svelte",
    "Terraform": "tf",
    "Protobuf": "proto",
    "GraphQL": "graphql gql",
    "YAML": "yaml yml",
    "JSON": "json jsonc",
    "TOML": "toml",
    "Markdown": "md mdx markdown",
    "reStructuredText": "rst",
    "Jupyter": "ipynb",
}
_BY_ENDING = {ending: name for name, endings in _LANGUAGES.items() for ending in endings.split()}
_BY_NAME = {"dockerfile": "Dockerfile", "makefile": "Make", "gnumakefile": "Make"}


@lru_cache(maxsize=_KNOWN_PATHS)
def kind_of(path: str) -> str:
    """What kind of file a path names; all that is nothing else is code."""
    lower = path.lower()
    if is_lock(path):
        return "locks"
    if is_generated(path):
        return "generated"
    if _TESTS.search(lower):
        return "tests"
    return "docs" if _DOCS.search(lower) else "code"


@lru_cache(maxsize=_KNOWN_PATHS)
def language_of(path: str) -> str:
    """The language of a file by its name; "" where that does not tell."""
    name = PurePosixPath(path.lower())
    return _BY_ENDING.get(name.suffix[1:]) or _BY_NAME.get(name.name, "")


def sizes(files: Iterable[FileDiff]) -> dict[str, dict[str, int]]:
    """Files, added and deleted lines of each kind there is."""
    sums: dict[str, dict[str, int]] = {}
    for file in files:
        size = sums.setdefault(kind_of(file.path), {"files": 0, "additions": 0, "deletions": 0})
        size["files"] += 1
        size["additions"] += file.additions
        size["deletions"] += file.deletions
    return {kind: sums[kind] for kind in KINDS if kind in sums}


def languages(files: Iterable[FileDiff]) -> dict[str, int]:
    """Changed lines by language, most first; generated files and locks left out."""
    lines: Counter[str] = Counter()
    for file in _written(files):
        lines[language_of(file.path)] += file.additions + file.deletions
    del lines[""]
    return dict(lines.most_common())


def areas(files: Iterable[FileDiff]) -> list[str]:
    """The top-level directories, most changed first; `.` for files in none."""
    lines: Counter[str] = Counter()
    for file in files:
        top, slash, _ = file.path.partition("/")
        lines[top if slash else TOP] += 1 + file.additions + file.deletions
    return [area for area, _ in lines.most_common()]


def written_lines(sizes: Mapping[str, dict[str, int]]) -> int:
    """Changed lines that somebody wrote: neither generated nor of lock files."""
    return sum(
        size["additions"] + size["deletions"]
        for kind, size in sizes.items()
        if kind not in ("generated", "locks")
    )


def _written(files: Iterable[FileDiff]) -> Iterable[FileDiff]:
    return (file for file in files if kind_of(file.path) not in ("generated", "locks"))
