"""What becomes of tests: removed, skipped, asserting less; not merely moved or renamed."""

from pathlib import Path

import pytest

from tests.app.services.changes import Bench, only, told


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


PYTEST = "def test_one():\n    assert f() == 1\n\n\ndef test_two():\n    assert f() == 2\n"


@pytest.mark.parametrize(
    ("path", "before", "after", "found"),
    [
        (
            "tests/test_a.py",
            PYTEST,
            "def test_one():\n    assert f() == 1\n",
            {"tests_removed": ["1 test fewer"]},
        ),
        ("tests/test_a.py", PYTEST, PYTEST.replace("== 2", "in (1, 2)"), {}),
        ("tests/test_a.py", PYTEST, PYTEST.replace("test_two", "test_renamed"), {}),
        (
            "tests/test_a.py",
            PYTEST,
            "@pytest.mark.skip\n" + PYTEST,
            {"tests_weakened": ["1 test skipped or allowed to fail"]},
        ),
        (
            "tests/test_a.py",
            PYTEST,
            PYTEST.replace("assert f() == 2", "f()"),
            {"tests_weakened": ["1 assertion fewer"]},
        ),
        (
            "src/a.test.ts",
            "it('adds', () => { expect(1).toBe(1) })\n",
            "it.skip('adds', () => { expect(1).toBe(1) })\n",
            {"tests_weakened": ["1 test skipped or allowed to fail"]},
        ),
        (
            "src/a.test.ts",
            "it('adds', () => { expect(1).toBe(1) })\n",
            "it.only('adds', () => { expect(1).toBe(1) })\n",
            {"tests_weakened": ["1 test run alone"]},
        ),
        (
            "a_test.go",
            "package a\n\nfunc TestA(t *testing.T) { t.Fatal(1) }\n",
            "package a\n\nfunc TestA(t *testing.T) { t.Skip() }\n",
            {"tests_weakened": ["1 test skipped or allowed to fail", "1 assertion fewer"]},
        ),
        (
            "src/a.rs",
            "#[test]\nfn adds() { assert_eq!(1, 1); }\n",
            "#[test]\n#[ignore]\nfn adds() { assert_eq!(1, 1); }\n",
            {"tests_weakened": ["1 test skipped or allowed to fail"]},
        ),
        (
            "src/a.rs",
            "fn f() {}\n#[test]\nfn adds() { assert_eq!(1, 1); }\n",
            "fn f() {}\n",
            {"tests_removed": ["1 test fewer"]},
        ),
    ],
)
def test_it_tells_what_becomes_of_tests(
    bench: Bench, path: str, before: str, after: str, found: dict[str, list[str]]
) -> None:
    said = told(bench.change({path: before}, {path: after}))
    assert {kind: says for kind, says in said.items() if kind.startswith("tests")} == found


def test_a_deleted_test_file_is_told(bench: Bench) -> None:
    change = bench.change({"tests/test_a.py": PYTEST, "a.py": ""}, {}, gone=("tests/test_a.py",))
    risk = only(change, "tests_removed")
    assert (risk.says, risk.paths) == ("1 test file deleted", ("tests/test_a.py",))


def test_tests_that_move_to_another_file_are_not_removed(bench: Bench) -> None:
    change = bench.change(
        {"tests/test_a.py": PYTEST, "tests/test_b.py": "import a\n"},
        {"tests/test_a.py": "import a\n", "tests/test_b.py": PYTEST},
    )
    assert told(change) == {}


def test_new_tests_that_skip_where_they_can_t_run_weaken_nothing(bench: Bench) -> None:
    new = 'def test_box():\n    pytest.skip("no bubblewrap")\n    assert f()\n'
    assert told(bench.change({}, {"tests/test_box.py": new})) == {}
