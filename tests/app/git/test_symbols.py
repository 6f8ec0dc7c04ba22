"""What an edit did to a file's symbols, in each language that is read."""

import pytest

from app.git.symbols import Change, Edit, definitions, edit, is_use, language_of

SHIP = b"""import sea

LIMIT = 3


@sea.cached
def parse(text, limit=LIMIT) -> list:
    return text.split()


class Ship(sea.Vessel):
    size: int = 0

    def __init__(self, name):
        self.name = name

    async def sail(self, north):
        return parse(north)
"""


def changed(old: bytes, new: bytes | None, language: str = "python") -> dict[str, str]:
    return {change.name: change.how for change in edit(language, old, new).changes}


def test_it_finds_what_a_file_defines() -> None:
    found = definitions("python", SHIP)
    assert sorted(found) == ["LIMIT", "Ship", "Ship.__init__", "Ship.sail", "Ship.size", "parse"]
    assert found["parse"].signature == b"@sea.cached def parse(text, limit=LIMIT) -> list:"
    assert found["parse"].line == 7


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (b"limit=LIMIT)", b"limit=LIMIT, strict=False)", {"parse": "signature"}),
        (b"text.split()", b"text.split(',')", {"parse": "body"}),
        (b"@sea.cached\n", b"", {"parse": "signature"}),
        (b"def parse", b"def   parse", {}),
        (b"self, name):", b"self):", {"Ship.__init__": "signature"}),
        (b"sail", b"row", {"Ship.sail": "removed"}),
        (b"(sea.Vessel)", b"", {"Ship": "signature"}),
        (b"size: int = 0", b"size: float = 0", {"Ship.size": "signature"}),
        (b"LIMIT = 3", b"LIMIT = 4", {"LIMIT": "body"}),
        (b"import sea", b"import sea  # and sky", {}),
    ],
)
def test_it_tells_what_became_of_them(was: bytes, now: bytes, told: dict[str, str]) -> None:
    assert changed(SHIP, SHIP.replace(was, now)) == told


def test_a_deleted_file_defines_nothing_any_more() -> None:
    assert set(changed(SHIP, None).values()) == {"removed"}
    assert edit("python", None, SHIP).changes == ()
    assert "Ship" in edit("python", None, SHIP).added


def test_uses_are_names_on_new_lines_and_no_comments_or_strings() -> None:
    new = SHIP + b"# tack is not used\nsay('jibe')\nlaunch(Ship(hull=1))\n"
    uses = edit("python", SHIP, new).uses
    assert {"say", "launch", "Ship", "hull"} == set(uses)
    assert uses["launch"] == SHIP.count(b"\n") + 3


def test_the_use_of_a_method_needs_its_class_or_a_long_name() -> None:
    def use(method: str, *types: str) -> bool:
        change = Change(f"Ship.{method}", method, "Ship", "signature", 1)
        return is_use(change, Edit(uses={method: 1}, types=frozenset(types)))

    assert not use("sail")
    assert use("sail", "Ship")
    assert use("hoist_sails")
    assert is_use(Change("Ship.__init__", "Ship", "Ship", "signature", 1), Edit(uses={"Ship": 1}))


LANGUAGES: dict[str, tuple[bytes, bytes, dict[str, str]]] = {
    "a.js": (
        b"export const f = (a) => a;\nclass A { x = 1; m(a) { return a } }\nconst Y = 3;\n",
        b"export const f = (a, b) => a;\nclass A { x = 1; m(a) { return 1 } }\n",
        {"f": "signature", "A.m": "body", "Y": "removed"},
    ),
    "a.ts": (
        b"export interface I { a: number }\nenum E { A }\ntype T = string;\n"
        b"export abstract class C<T> implements I { m(a: string): void {} }\n",
        b"export interface I { a: string }\nenum E { A, B }\ntype T = string;\n"
        b"export abstract class C<T> implements I { m(a: number): void {} }\n",
        {"I": "signature", "E": "signature", "C.m": "signature"},
    ),
    "a.tsx": (
        b"export const App = (p: Props) => <Foo a={1}/>;\n",
        b"export const App = (p: Props) => <Foo a={2}/>;\n",
        {"App": "body"},
    ),
    "a.go": (
        b"package m\ntype S struct { a int }\nfunc F(a int) int { return a }\n"
        b"func (s *S) M(b int) {}\nconst (\n X = 1\n Y = 2\n)\n",
        b"package m\ntype S struct { a uint }\nfunc F(a int) int { return 1 }\n"
        b"func (s *S) M(b uint) {}\nconst (\n X = 1\n)\n",
        {"S": "signature", "F": "body", "S.M": "signature", "Y": "removed"},
    ),
    "a.rs": (
        b"pub struct S { a: u8 }\ntrait T { fn m(&self); }\nimpl T for S { fn m(&self) {} }\n"
        b"impl<X> G<X> { pub fn n(a: u8) -> u8 { a } }\nconst C: u8 = 1;\n",
        b"pub struct S { a: u16 }\ntrait T { fn m(&self, b: u8); }\n"
        b"impl T for S { fn m(&self) {} }\n"
        b"impl<X> G<X> { pub fn n(a: u8) -> u8 { 1 } }\nconst C: u8 = 1;\n",
        {"S": "signature", "T.m": "signature", "G.n": "body"},
    ),
}


@pytest.mark.parametrize("path", LANGUAGES)
def test_it_reads_every_language(path: str) -> None:
    language = language_of(path)
    assert language is not None
    old, new, told = LANGUAGES[path]
    assert changed(old, new, language) == told


@pytest.mark.parametrize("text", [b"", b"\0\xff\xfe", b"def (((", b"class A:\n" * 200, b"\r\n\r"])
@pytest.mark.parametrize("language", ["python", "javascript", "typescript", "tsx", "go", "rust"])
def test_it_survives_what_is_no_program(language: str, text: bytes) -> None:
    assert edit(language, text, text).changes == ()
    assert edit(language, SHIP, text)
    assert edit(language, text, SHIP)


def test_other_files_are_not_read() -> None:
    assert language_of("Makefile") is None
    assert language_of("a/b.C") is None
    assert language_of("a/b.PY") == "python"
