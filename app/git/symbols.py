"""Symbols of a file's text: what it defines, what an edit changed of that, what new lines use.

Pure: bytes in, names out; nothing is run or imported. A syntax error costs only what it spoils.
"""

import posixpath
import re
from typing import Literal, NamedTuple

from tree_sitter import Node

from app.git.symbols_grammars import GRAMMARS, LANGUAGES, Grammar, parser

How = Literal["removed", "signature", "body"]

LONG_NAME = 8  # letters: a method of such a name is hardly another class's
_CONSTRUCTORS = ("__init__", "__new__", "constructor")
_WORD = re.compile(rb"[^\W\d]\w*", re.ASCII)
_TRIES = 4  # occurrences of a word that are looked at before it counts as no name


class Definition(NamedTuple):
    """One name that a file defines; `owner` is the class (or such) around it, or ""."""

    name: str
    owner: str
    signature: bytes
    body: bytes
    line: int

    @property
    def full_name(self) -> str:
        return f"{self.owner}.{self.name}" if self.owner else self.name


class Change(NamedTuple):
    """A definition that is not what it was. `used_as`: the name by which others use it."""

    name: str
    used_as: str
    owner: str
    how: How
    line: int  # in the new text; where it is gone, in the old one


class Edit(NamedTuple):
    """What one edit of a file means to other files."""

    changes: tuple[Change, ...] = ()
    added: frozenset[str] = frozenset()  # full names that are new here
    uses: dict[str, int] = {}  # noqa: RUF012 - names on new lines: the first such line
    defines: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()  # capitalised words anywhere in the new text


def language_of(path: str) -> str | None:
    """The language whose symbols we can read in a file of that name."""
    return LANGUAGES.get(posixpath.splitext(path)[1].lower())


def definitions(language: str, source: bytes) -> dict[str, Definition]:
    """What the text defines at its top and in its classes, by full name."""
    return _definitions(GRAMMARS[language], source, parser(language).parse(source).root_node)


def edit(language: str, old: bytes | None, new: bytes | None) -> Edit:
    """What became of a file; None where it was, or is, not there."""
    before = definitions(language, old) if old else {}
    if not new:
        return Edit(tuple(_changes(before, {})))
    root = parser(language).parse(new).root_node
    after = _definitions(GRAMMARS[language], new, root)
    return Edit(
        tuple(_changes(before, after)),
        frozenset(after.keys() - before.keys()),
        _uses(root, old or b"", new),
        frozenset(definition.name for definition in after.values()),
        frozenset(w.decode() for w in set(_WORD.findall(new)) if w[:1].isupper()),
    )


def is_use(change: Change, by: Edit) -> bool:
    """Whether new lines of `by` use what changed, as far as names can tell.

    A method counts where its class is named in the file, or where its own name is a long one.
    """
    if change.used_as not in by.uses:
        return False
    is_method = change.owner and change.used_as != change.owner
    return not is_method or change.owner in by.types or len(change.used_as) >= LONG_NAME


def _changes(before: dict[str, Definition], after: dict[str, Definition]) -> list[Change]:
    found = []
    for full_name, was in before.items():
        now = after.get(full_name)
        if now is not None and (now.signature, now.body) == (was.signature, was.body):
            continue
        how: How = "body"
        if now is None:
            how = "removed"
        elif now.signature != was.signature:
            how = "signature"
        used_as = was.owner if was.owner and was.name in _CONSTRUCTORS else was.name
        if not used_as.startswith("__"):
            found.append(Change(full_name, used_as, was.owner, how, (now or was).line))
    return found


def _definitions(grammar: Grammar, source: bytes, root: Node) -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    todo = [(root, "", -1)]  # node, owner, where a wrapper around it begins
    while todo:
        node, owner, start = todo.pop()
        for child in node.named_children:
            shape = grammar.shapes.get(child.type)
            begin = child.start_byte if start < 0 else start
            if child.type in grammar.wrappers:
                todo.append((child, owner, begin))
            elif child.type in grammar.groups:
                todo.append((child, owner, -1))
            elif shape is not None:
                name, body = _name(child, shape.name), _body(child, shape.body)
                if not name:
                    continue
                if shape.is_open and body is not None:
                    todo.append((body, name, -1))
                if not shape.is_scope:
                    of = owner or _receiver(child)
                    end = child.end_byte if body is None or shape.is_whole else body.start_byte
                    rest = b"" if shape.is_whole or shape.is_open else source[end : child.end_byte]
                    line = child.start_point.row + 1
                    made = Definition(name, of, _squeezed(source[begin:end]), rest, line)
                    found[made.full_name] = made
    return found


def _name(node: Node, field: str) -> str:
    """The name, or "" where it is no simple one (`a.b = …`, `impl<T> [T]`)."""
    named = node.child_by_field_name(field)
    if named is not None and named.type == "generic_type":
        named = named.child_by_field_name("type")
    if named is None or not named.type.endswith("identifier") or named.text is None:
        return ""
    return named.text.decode("utf-8", "replace")


def _body(node: Node, field: str) -> Node | None:
    """`body`, or of a value that is a function, that function's body."""
    body = node.child_by_field_name(field)
    inner = body.child_by_field_name("body") if body is not None and field == "value" else None
    return inner or body


def _receiver(node: Node) -> str:
    """The type that a Go method belongs to."""
    receiver = node.child_by_field_name("receiver")
    text = receiver.text if receiver is not None else None
    words = _WORD.findall(text.partition(b"[")[0]) if text else []
    return words[-1].decode() if words else ""


def _squeezed(text: bytes) -> bytes:
    return b" ".join(text.split())


def _uses(root: Node, old: bytes, new: bytes) -> dict[str, int]:
    """The names on lines that the old text does not have; comments and strings don't count."""
    known = {line.strip() for line in old.splitlines()}
    found: dict[bytes, int] = {}
    tries: dict[bytes, int] = {}
    start = 0
    for number, line in enumerate(new.splitlines(keepends=True), 1):
        if line.strip() not in known:
            for match in _WORD.finditer(line):
                word = match[0]
                if word in found or tries.get(word, 0) >= _TRIES:
                    continue
                tries[word] = tries.get(word, 0) + 1
                at = start + match.start()
                node = root.descendant_for_byte_range(at, at + len(word))
                if node is not None and node.type.endswith("identifier"):
                    found[word] = number
        start += len(line)
    return {word.decode(): number for word, number in found.items()}
