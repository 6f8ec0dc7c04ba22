"""What a definition looks like in each language whose symbols we read (tree-sitter's words)."""

from functools import cache
from importlib import import_module
from typing import NamedTuple

from tree_sitter import Language, Parser


class Shape(NamedTuple):
    """A node that defines a name. The signature is its text up to `body`."""

    name: str = "name"  # the field that holds the name
    body: str = "body"  # the field that users need not know
    is_open: bool = False  # what is defined in its body is looked at, and the body is no part of it
    is_whole: bool = False  # users depend on all of it: the signature is the whole text
    is_scope: bool = False  # defines nothing itself, only names what is in it


class Grammar(NamedTuple):
    """One language."""

    module: str
    function: str  # of the module, gives the language
    shapes: dict[str, Shape]
    wrappers: frozenset[str]  # belong to the definition within: `export`, decorators
    groups: frozenset[str]  # hold definitions


_PLAIN, _OPEN, _WHOLE = Shape(), Shape(is_open=True), Shape(is_whole=True)
_VALUE = Shape(body="value")

_PYTHON = Grammar(
    "tree_sitter_python",
    "language",
    {
        "function_definition": _PLAIN,
        "class_definition": _OPEN,
        "assignment": Shape("left", "right"),
    },
    frozenset({"decorated_definition"}),
    frozenset({"expression_statement", "if_statement", "block", "try_statement"}),
)
_SCRIPT_SHAPES = {
    "function_declaration": _PLAIN,
    "generator_function_declaration": _PLAIN,
    "class_declaration": _OPEN,
    "method_definition": _PLAIN,
    "field_definition": Shape("property", "value"),
    "variable_declarator": _VALUE,
}
_SCRIPT = Grammar(
    "tree_sitter_javascript",
    "language",
    _SCRIPT_SHAPES,
    frozenset({"export_statement"}),
    frozenset({"lexical_declaration", "variable_declaration"}),
)
_TYPED_SHAPES = _SCRIPT_SHAPES | {
    "abstract_class_declaration": _OPEN,
    "public_field_definition": _VALUE,
    "abstract_method_signature": _WHOLE,
    "function_signature": _WHOLE,
    "interface_declaration": _WHOLE,
    "type_alias_declaration": _WHOLE,
    "enum_declaration": _WHOLE,
    "internal_module": Shape(is_open=True, is_scope=True),
}
_TYPED_GROUPS = _SCRIPT.groups | {"expression_statement", "ambient_declaration"}
_GO = Grammar(
    "tree_sitter_go",
    "language",
    {
        "function_declaration": _PLAIN,
        "method_declaration": _PLAIN,
        "type_spec": _WHOLE,
        "type_alias": _WHOLE,
        "const_spec": _VALUE,
        "var_spec": _VALUE,
    },
    frozenset(),
    frozenset({"const_declaration", "var_declaration", "var_spec_list", "type_declaration"}),
)
_RUST = Grammar(
    "tree_sitter_rust",
    "language",
    {
        "function_item": _PLAIN,
        "function_signature_item": _WHOLE,
        "struct_item": _WHOLE,
        "enum_item": _WHOLE,
        "union_item": _WHOLE,
        "type_item": _WHOLE,
        "trait_item": _OPEN,
        "const_item": _VALUE,
        "static_item": _VALUE,
        "macro_definition": _WHOLE,
        "impl_item": Shape(name="type", is_open=True, is_scope=True),
        "mod_item": Shape(is_open=True, is_scope=True),
    },
    frozenset(),
    frozenset(),
)


def _typed(function: str) -> Grammar:
    module = "tree_sitter_typescript"
    return Grammar(module, function, _TYPED_SHAPES, _SCRIPT.wrappers, _TYPED_GROUPS)


GRAMMARS = {
    "python": _PYTHON,
    "javascript": _SCRIPT,
    "typescript": _typed("language_typescript"),
    "tsx": _typed("language_tsx"),
    "go": _GO,
    "rust": _RUST,
}
LANGUAGES = {
    **dict.fromkeys((".py", ".pyi"), "python"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "javascript"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    ".tsx": "tsx",
    ".go": "go",
    ".rs": "rust",
}


def parser(language: str) -> Parser:
    """A parser of its own for the caller (they are not safe to share between threads)."""
    return Parser(_language(language))


@cache
def _language(language: str) -> Language:
    grammar = GRAMMARS[language]
    return Language(getattr(import_module(grammar.module), grammar.function)())
