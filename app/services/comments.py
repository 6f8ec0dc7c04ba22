"""Whether only comments of a file changed: proved by its parsed tokens, not by how lines look."""

import re

from tree_sitter import Node

from app.git.diffs import FileDiff
from app.git.symbols import language_of
from app.git.symbols_grammars import parser
from app.services.change import Change, added, removed

_COMMENT = re.compile(r"\s*(#|//|/\*|^\s*\*).*")
# Comments that a compiler, a checker or a reader of documentation tests obeys.
_OBEYED = re.compile(
    r"#!|# *(type|pylint|mypy|pyright|ruff|fmt|isort|cython|doctest|distutils|-\*-)"
    r"|//(go:|export |line |#|[/!])|\+build|cgo\b|@(ts-|vite-|jsx|flow|__)|webpack[A-Z]"
    r"|@(deprecated|type|param|returns?|template|typedef)\b|/\* *global"
    r"|ignore|disable|enable|noqa|nolint|nosec|pragma|no.?cover|prettier|eslint|biome"
)
_FILES = 50  # more are read as code


def only_comments(change: Change) -> frozenset[str]:
    """The changed code files of which nothing but comments differs."""
    return frozenset(file.path for file in change.files[:_FILES] if _is_one(change, file))


def _is_one(change: Change, file: FileDiff) -> bool:
    language, sides = language_of(file.path), change.sides.get(file.path)
    if not file.hunks or file.is_cut or file.mode_change or language is None or sides is None:
        return False
    old, new = removed(file), added(file)
    if _code(old) != _code(new) or any(map(_OBEYED.search, old + new)):
        return False
    if sides.old is None or sides.new is None:
        return False
    return _tokens(language, sides.old) == _tokens(language, sides.new)


def _code(lines: list[str]) -> list[str]:
    """What is left of lines without what looks like a comment: a cheap guess before the proof."""
    return [code for line in lines if (code := _COMMENT.sub("", line).rstrip())]


def _tokens(language: str, source: bytes) -> tuple[list[tuple[int, str, bytes]], bytes]:
    """All that is no comment: depth, kind and text of each leaf; and all letters but of comments.

    The depth tells Python's blocks apart; the letters, what a grammar has no leaf for.
    """
    leaves: list[tuple[int, str, bytes]] = []
    letters, seen = [], 0
    todo: list[tuple[Node, int]] = [(parser(language).parse(source).root_node, 0)]
    while todo:
        node, depth = todo.pop()
        if "comment" in node.type:
            letters.append(source[seen : node.start_byte])
            seen = node.end_byte
        elif node.child_count == 0 or node.type == "string":
            leaves.append((depth, node.type, source[node.start_byte : node.end_byte]))
        else:
            todo.extend((child, depth + 1) for child in reversed(node.children))
    letters.append(source[seen:])
    return leaves, b"".join(b"".join(letters).split())
