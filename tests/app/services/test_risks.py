"""Every rule on real diffs: what it finds, and what it leaves in peace."""

from pathlib import Path

import pytest

from app.services.change import Change, Risk
from app.services.risks import risks
from tests.app.services.changes import Bench, Files, only, told


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


def test_it_finds_nothing_in_everyday_work(bench: Bench) -> None:
    change = bench.change(
        {"src/sums.py": "def add(a, b):\n    return a + b\n", "tests/test_sums.py": ""},
        {
            "src/sums.py": "def add(a, b):\n    total = a + b\n    return total\n",
            "tests/test_sums.py": "def test_add():\n    assert add(1, 2) == 3\n",
            "docs/sums.md": "Sums are summed.\n",
        },
    )
    assert told(change) == {}


def test_a_mode_alone_is_told(bench: Bench) -> None:
    bench.write({"run.sh": "echo\n", "other.sh": "echo\n"})
    (bench.tree / "other.sh").chmod(0o755)
    base = bench.commit()
    (bench.tree / "run.sh").chmod(0o755)
    (bench.tree / "other.sh").chmod(0o644)
    change = bench.between(base, bench.commit())
    assert told(change) == {"permissions": ["1 file executable", "1 file no longer executable"]}


def test_links_and_submodules_are_told(bench: Bench) -> None:
    bench.write({"a": "x\n"})
    base = bench.commit()
    (bench.tree / "link").symlink_to("/etc/passwd")
    bench.git("add", "-A")
    bench.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},parts/lib")
    bench.git("commit", "-qm", "x")
    change = bench.between(base, bench.git("rev-parse", "HEAD"))
    assert set(told(change)) == {"link", "submodule", "foreign_commits"}


def test_binaries_are_told_and_not_read(bench: Bench) -> None:
    change = bench.change({}, {"logo.bin": bytes(range(256)) * 4096})
    assert told(change)["binary"] == ["1 binary file, 1.0 MB"]


def test_line_endings_alone_are_told_as_such(bench: Bench) -> None:
    before: Files = {"a.py": b"x = 1\r\ny = 2\r\n", "b.py": b"x = 1\r\n"}
    change = bench.change(before, {"a.py": b"x = 1\ny = 2\n", "b.py": b"x = 2\n"})
    assert only(change, "line_endings").paths == ("a.py",)


def test_a_renamed_and_edited_file_is_told(bench: Bench) -> None:
    lines = "".join(f"line {n}\n" for n in range(30))
    change = bench.change({"a.txt": lines}, {"b.txt": lines + "more\n"}, gone=("a.txt",))
    assert only(change, "rename_edited").paths == ("b.txt",)


@pytest.mark.parametrize("lines", [100, 400])
def test_it_says_when_it_is_larger_than_usual(bench: Bench, lines: int) -> None:
    written = "".join(f"x{n} = {n}\n" for n in range(lines))
    change = bench.change({}, {"a.py": written, "uv.lock": written * 9}, usual_lines=50)
    says = told(change).get("large", [])
    assert says == (["8.0 times the lines that are usual here (50)"] if lines == 400 else [])


def test_what_is_too_large_to_be_read_says_so(bench: Bench) -> None:
    change = bench.change({}, {"a.py": "".join(f"x{n} = {n}\n" for n in range(4000))})
    assert only(change, "unread").paths == ("a.py",)


def test_commits_of_another_hand_are_told(bench: Bench) -> None:
    base = bench.commit()
    bench.write({"a": "x\n"})
    head = bench.commit(author="birch")
    assert only(bench.between(base, head), "foreign_commits").says == "1 commit by birch"
    assert told(bench.between(base, head, authors=frozenset())) == {}


def test_it_says_when_there_is_nothing(bench: Bench) -> None:
    base = bench.commit()
    assert told(bench.between(base, base)) == {"empty": ["no commits"]}
    assert told(bench.between(base, bench.commit())) == {"empty": ["commits that change nothing"]}


def test_characters_that_are_not_seen_are_told(bench: Bench) -> None:
    change = bench.change({}, {"a.py": "if is_admin:\u202e # \u2066\n", "b.py": "x = 'ü'\n"})
    assert only(change, "hidden_characters").paths == ("a.py",)


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        (".github/workflows/ci.yml", "paths", "continuous integration"),
        (".gitlab-ci.yml", "paths", "continuous integration"),
        ("db/migrations/0002.sql", "schema", "schema or migration"),
        ("alembic/versions/0002_x.py", "schema", "schema or migration"),
        ("api/user.proto", "schema", "schema or migration"),
        ("src/auth/login.py", "paths", "access, secrets or money, by its name"),
        ("Makefile", "paths", "build, release or deployment"),
        ("AGENTS.md", "paths", "steers the agents"),
        ("pkg/CLAUDE.md", "paths", "steers the agents"),
        (".claude/settings.json", "paths", "steers the agents"),
        (".mcp.json", "paths", "steers the agents"),
        (".husky/pre-commit", "executes", "runs on your machine"),
        (".vscode/tasks.json", "executes", "runs on your machine"),
    ],
)
def test_paths_tell_what_they_are(bench: Bench, path: str, kind: str, says: str) -> None:
    risk = only(bench.change({}, {path: "x\n"}), kind)
    assert (risk.says, risk.paths) == (says, (path,))


@pytest.mark.parametrize(
    "path", ["src/author.py", "docs/auth.md", "tests/test_auth.py", "src/x.py"]
)
def test_everyday_paths_tell_nothing(bench: Bench, path: str) -> None:
    assert told(bench.change({}, {path: "x = 1\n"})) == {}


def test_the_heaviest_comes_first(bench: Bench) -> None:
    key = "ghp_" + "aB3" * 12
    change = bench.change({}, {"Makefile": "x:\n", "a.py": f"t = '{key}'\n", ".envrc": "x\n"})
    assert [risk.points for risk in risks(change)] == [100, 60, 30]


def test_a_stored_risk_names_few_of_many_paths() -> None:
    row = Risk("binary", 15, "many", tuple(map(str, range(5000)))).row()
    assert len(row["paths"]) == 20


def test_nothing_is_asked_of_an_empty_change() -> None:
    assert [risk.kind for risk in risks(Change(files=()))] == ["empty"]
