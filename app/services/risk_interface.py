"""Risks by what others use: definitions that are gone, or whose signature is another one.

Told for the languages whose symbols we read. Public is what the language's own custom says:
no leading underscore, a capital in Go, `pub` in Rust, `export` in JavaScript and TypeScript.
"""

import re
from collections.abc import Iterator

from app.git.symbols import Definition, definitions, language_of
from app.services.change import Change, Risk, named
from app.services.sizes import kind_of

_BY_EXPORT = ("javascript", "typescript", "tsx")
_EXPORTS = re.compile(
    rb"\bexport\s*\{[^}]*\}|\bexport default \w+|\bexports(?:\.\w+)?\s*=\s*[\w{][^}\n]*"
)
_PRIVATE_MODULE = re.compile(r"(^|/)_(?!_)[^/]*\.pyi?$")
_HIDDEN = re.compile(rb"#|private\b")  # members of a class
_WORD = re.compile(r"\w+")


def public_interface(change: Change) -> Iterator[Risk]:
    gone: dict[str, str] = {}  # name: path
    resigned: dict[str, str] = {}
    new: set[str] = set()
    for path, sides in change.sides.items():
        language = language_of(path)
        if language is None or kind_of(path) != "code" or _PRIVATE_MODULE.search(path):
            continue
        before, after = _public(language, sides.old), _public(language, sides.new)
        new |= after.keys() - before.keys()
        gone |= dict.fromkeys(before.keys() - after.keys(), path)
        for name in before.keys() & after.keys():
            if before[name].signature != after[name].signature:
                resigned[name] = path
    for name in new & gone.keys():  # it moved, and its old importers must follow
        resigned[name] = gone.pop(name)
    if gone:
        yield Risk("public_interface", 25, f"removes {named(gone)}", _paths(gone))
    if resigned:
        yield Risk("public_interface", 20, f"changes {named(resigned)}", _paths(resigned))


def _public(language: str, source: bytes | None) -> dict[str, Definition]:
    if not source:
        return {}
    found = definitions(language, source)
    if language in _BY_EXPORT:
        exported = _exported(source, found)
        members = {name: it for name, it in found.items() if {it.owner, name} & exported}
        return {name: it for name, it in members.items() if not _HIDDEN.match(it.signature)}
    return {name: it for name, it in found.items() if _is_public(language, it)}


def _is_public(language: str, it: Definition) -> bool:
    if language == "go":
        return it.name[:1].isupper()
    if language == "rust":
        return it.signature.startswith(b"pub ")
    is_dunder = it.name.startswith("__") and it.name.endswith("__")
    return (is_dunder or not it.name.startswith("_")) and not it.owner.startswith("_")


def _exported(source: bytes, found: dict[str, Definition]) -> set[str]:
    """The names that a JavaScript module gives away, where they are defined or in a list."""
    lines = source.split(b"\n")
    listed = b" ".join(_EXPORTS.findall(source)).decode("utf-8", "replace")
    here = {name for name, it in found.items() if lines[it.line - 1].startswith(b"export ")}
    return here | set(_WORD.findall(listed))


def _paths(found: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted(set(found.values())))


RULES = (public_interface,)
