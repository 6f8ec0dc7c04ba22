"""What others use: definitions that go or get another signature, in each language that is read."""

from pathlib import Path

import pytest

from tests.app.services.changes import Bench, told


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


@pytest.mark.parametrize(
    ("path", "before", "after", "says"),
    [
        ("a.py", "def f(a):\n    pass\n", "def f(a, b):\n    pass\n", ["changes f"]),
        (
            "a.py",
            "def f(a):\n    pass\n\n\ndef g():\n    pass\n",
            "def g():\n    pass\n",
            ["removes f"],
        ),
        (
            "a.py",
            "def f(\n    a,\n    b=1,\n):\n    pass\n",
            "def f(\n    a,\n    b=2,\n):\n    pass\n",
            ["changes f"],
        ),
        (
            "a.py",
            "class C:\n    def m(self): ...\n",
            "class C:\n    def m(self, x): ...\n",
            ["changes C.m"],
        ),
        ("a.py", "def _f(a):\n    pass\n", "def _f():\n    pass\n", []),
        ("a.py", "def f(a):\n    return 1\n", "def f(a):\n    return 2\n", []),
        ("_a.py", "def f(a):\n    pass\n", "def f():\n    pass\n", []),
        ("__init__.py", "def f(a):\n    pass\n", "def f():\n    pass\n", ["changes f"]),
        (
            "a.ts",
            "export class C { private m() {} }\n",
            "export class C { private m(x) {} }\n",
            [],
        ),
        ("tests/test_a.py", "def helper(a):\n    pass\n", "def helper():\n    pass\n", []),
        (
            "a.ts",
            "export function f(a: string) {}\n",
            "export function f(a: number) {}\n",
            ["changes f"],
        ),
        ("a.ts", "function f(a: string) {}\n", "function f(a: number) {}\n", []),
        ("a.ts", "export class C { m() {} }\n", "export class C { n() {} }\n", ["removes C.m"]),
        (
            "a.ts",
            "export interface I { a: string }\n",
            "export interface I { a: number }\n",
            ["changes I"],
        ),
        ("a.js", "export const f = (a) => a;\n", "export const f = (a, b) => a;\n", ["changes f"]),
        (
            "a.js",
            "const f = (a) => a;\nmodule.exports = { f };\n",
            "const f = (a, b) => a;\nmodule.exports = { f };\n",
            ["changes f"],
        ),
        (
            "a.js",
            "const f = (a) => a;\nexport { f };\n",
            "const f = (a, b) => a;\nexport { f };\n",
            ["changes f"],
        ),
        ("a.js", "const f = (a) => a;\n", "const f = (a, b) => a;\n", []),
        (
            "a.go",
            "package a\n\nfunc F(x int) {}\n",
            "package a\n\nfunc F(x string) {}\n",
            ["changes F"],
        ),
        ("a.go", "package a\n\nfunc f(x int) {}\n", "package a\n\nfunc f(x string) {}\n", []),
        ("a.rs", "pub fn f(x: u8) {}\n", "pub fn f(x: u16) {}\n", ["changes f"]),
        ("a.rs", "fn f(x: u8) {}\n", "fn f(x: u16) {}\n", []),
    ],
)
def test_it_tells_what_others_use(
    bench: Bench, path: str, before: str, after: str, says: list[str]
) -> None:
    assert told(bench.change({path: before}, {path: after})).get("public_interface", []) == says


def test_what_moves_to_another_file_is_changed_not_removed(bench: Bench) -> None:
    body = "def far_away(a):\n    return a\n"
    change = bench.change({"a.py": body + "X = 1\n"}, {"a.py": "X = 1\n", "b.py": body})
    assert told(change)["public_interface"] == ["changes far_away"]


def test_it_names_a_few_of_many(bench: Bench) -> None:
    names = [f"f{n}" for n in range(9)]
    before = "".join(f"def {name}():\n    pass\n" for name in names)
    change = bench.change({"a.py": before}, {"a.py": "X = 1\n"})
    assert told(change)["public_interface"] == ["removes f0, f1, f2, f3 and 5 more"]
