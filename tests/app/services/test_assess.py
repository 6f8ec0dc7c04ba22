"""An assessment as a whole: care by rules and risks, sizes, intent; quick on large changes."""

import time
from pathlib import Path

import pytest

from app.git.config import CareRules, RepositoryConfig, parse_config
from app.models import MergeRequest, Task
from app.services.assess import Assessment, assess
from app.services.change import Change
from app.services.sides import read_sides
from tests.app.services.changes import Bench, Files

OPEN = RepositoryConfig()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


def request(title: str = "Accept trailing commas", **more: str) -> MergeRequest:
    given = {"branch": "qd/maple/x", "base_branch": "main", "head_sha": "", "base_sha": ""}
    return MergeRequest(repository_id=1, title=title, **(given | more))


def assessed(change: Change, config: RepositoryConfig = OPEN, care: str = "") -> Assessment:
    task = Task(
        repository_id=1, title="t", prompt="Accept them in lists.", base_branch="main", care=care
    )
    return assess(change, config, request(), task)


@pytest.mark.parametrize(
    ("files", "care", "rule"),
    [
        ({"README.md": "x\n", "docs/a.rst": "x\n", "docs/a.png": "x"}, "glance", "documentation"),
        ({"docs/a.md": "x\n", "src/a.py": "x = 1\n"}, "read", "code"),
        ({"tests/test_a.py": "x = 1\n"}, "read", "tests"),
        ({"uv.lock": "x\n"}, "read", "lock files"),
        ({"src/a.py": "x = 1\n", "migrations/2.sql": "x\n"}, "study", "schema or migration"),
        ({"quarterdeck.toml": "x\n"}, "study", "protected by quarterdeck.toml"),
        ({"docs/CLAUDE.md": "x\n"}, "study", "steers the agents"),
        ({"docs/a.md": "the key is ghp_" + "aB3" * 12}, "study", "what looks like a key (ghp_…)"),
    ],
)
def test_it_has_sane_defaults(bench: Bench, files: Files, care: str, rule: str) -> None:
    found = assessed(bench.change({}, files))
    assert (found.care, found.care_reasons[0].rule) == (care, rule)


def test_the_repository_s_rules_go_before_the_defaults(bench: Bench) -> None:
    rules = CareRules(glance=("src/", "Makefile"), study=("docs/law.md",))
    config = RepositoryConfig(care=rules, protected=("vital/",))
    assert assessed(bench.change({}, {"src/auth.py": "x = 1\n"}), config).care == "glance"
    assert assessed(bench.change({}, {"Makefile": "x:\n"}), config).care == "glance"
    assert assessed(bench.change({}, {"docs/law.md": "x\n"}), config).care == "study"
    assert assessed(bench.change({}, {"vital/a.md": "x\n"}), config).care == "study"


def test_a_risk_asks_for_more_than_the_repository_s_rules(bench: Bench) -> None:
    config = RepositoryConfig(care=CareRules(glance=("**",)))
    found = assessed(bench.change({}, {"a.py": "\u202e = 1\n"}), config)
    assert [(reason.level, reason.rule) for reason in found.care_reasons] == [
        ("study", "characters that are not seen, or turn the text around"),
        ("glance", "by quarterdeck.toml"),
    ]


def test_a_task_can_ask_for_more_never_for_less(bench: Bench) -> None:
    docs = bench.change({}, {"a.md": "x\n"})
    code = bench.change({}, {"a.py": "x = 1\n"})
    assert assessed(docs, care="study").care == "study"
    assert assessed(code, care="glance").care == "read"


def test_the_old_path_of_a_renamed_file_counts(bench: Bench) -> None:
    lines = "".join(f"line {n}\n" for n in range(20))
    change = bench.change({"auth/x.py": lines}, {"docs/x.md": lines}, gone=("auth/x.py",))
    assert assessed(change).care == "study"


@pytest.mark.parametrize(
    ("path", "before", "after", "care"),
    [
        ("a.py", "x = 1\n", "# why\nx = 1  # so\n", "glance"),
        ("a.py", "x = 1\n", "# why\nx = 2\n", "read"),
        ("a.py", "x = 1\n", "x = 1  # type: ignore\n", "read"),
        ("a.py", "if x:\n    a()\n# b\n    b()\n", "if x:\n    a()\n# c\n    b()\n", "glance"),
        ("a.py", 'x = """\n# one\n"""\n', 'x = """\n# two\n"""\n', "read"),
        ("a.py", "def f():\n    '''Old.'''\n", "def f():\n    '''New.'''\n", "read"),
        ("a.go", "package a\n\nvar X = 1\n", "package a\n\n// X counts.\nvar X = 1\n", "glance"),
        ("a.go", "package a\n", "//go:build ignore\n\npackage a\n", "read"),
        ("a.ts", "const a = 1;\n", "/* one\n * two */\nconst a = 1;\n", "glance"),
        ("a.ts", "const a = `\n// x\n`;\n", "const a = `\n// y\n`;\n", "read"),
        ("a.rs", "fn f() {}\n", "// why\nfn f() {}\n", "glance"),
        ("a.rs", "fn f() {}\n", "/// ```\n/// f();\n/// ```\nfn f() {}\n", "read"),
        ("a.js", "f(`a`);\n", "f(`a`); // so\n", "glance"),
        ("a.js", "x = 1\n", "x = 1; // so\n", "read"),
        ("a.rb", "x = 1\n", "# why\nx = 1\n", "read"),
        ("auth/a.py", "x = 1\n", "# why\nx = 1\n", "study"),
    ],
)
def test_comments_alone_need_a_glance(
    bench: Bench, path: str, before: str, after: str, care: str
) -> None:
    assert assessed(bench.change({path: before}, {path: after})).care == care


def test_a_statement_that_moves_out_of_its_block_is_no_comment(bench: Bench) -> None:
    before = "if x:\n    a()\n    b()  # so\n"
    change = bench.change({"a.py": before}, {"a.py": "if x:\n    a()\nb()  # so\n"})
    assert assessed(change).care == "read"


def test_sizes_are_told_by_kind_and_language(bench: Bench) -> None:
    change = bench.change(
        {"src/a.py": "x = 1\n"},
        {
            "src/a.py": "x = 2\ny = 3\n",
            "tests/test_a.py": "x = 1\n",
            "docs/a.md": "a\nb\n",
            "web/app.min.js": "x\n",
            "uv.lock": "a\nb\nc\n",
            "web/a.ts": "const a = 1;\n",
        },
    )
    found = assessed(change)
    assert found.sizes == {
        "code": {"files": 2, "additions": 3, "deletions": 1},
        "tests": {"files": 1, "additions": 1, "deletions": 0},
        "docs": {"files": 1, "additions": 2, "deletions": 0},
        "generated": {"files": 1, "additions": 1, "deletions": 0},
        "locks": {"files": 1, "additions": 3, "deletions": 0},
    }
    assert found.languages == {"Python": 4, "Markdown": 2, "TypeScript": 1}
    assert found.areas[0] == "src"
    assert set(found.areas) == {"src", "tests", "docs", "web", "."}


def test_what_is_stored_fits_the_row(bench: Bench) -> None:
    row = request()
    assess(bench.change({}, {"Makefile": "x:\n"}), OPEN, row).write(row)
    assert row.care == "study"
    assert row.care_reasons == [
        {"level": "study", "rule": "build, release or deployment", "paths": ["Makefile"]}
    ]
    assert row.risks[0]["kind"] == "paths"
    assert row.areas == ["."]
    assert row.intent == "Accept trailing commas"


def test_it_is_quick_on_a_large_change(bench: Bench) -> None:
    """300 files, 10,000 lines, all of what is parsed: less than half a second of one processor."""
    body = "".join(f"def f{n}(a, b):\n    return a + {n}\n\n\n" for n in range(30))
    more = "".join(f"def g{n}(a):\n    assert a\n" for n in range(16))
    before: Files = {f"src/m{n}.py": body for n in range(300)}
    after: Files = dict.fromkeys(before, f"{body}{more}")
    change = bench.change(before, after)
    assert sum(file.additions for file in change.files) >= 9_600
    start = time.process_time()
    sides = read_sides(bench.clones, list(change.files))
    found = assess(Change(files=change.files, sides=sides), OPEN, request(), None)
    took = time.process_time() - start
    assert len(sides) == 300
    assert found.care == "read"
    assert took < 0.5


def test_it_is_quick_on_a_million_lines_of_a_lock_file(bench: Bench) -> None:
    change = bench.change({}, {"package-lock.json": '  "a": "1",\n' * 10**6})
    start = time.process_time()
    found = assess(
        Change(change.files, sides=read_sides(bench.clones, list(change.files))), OPEN, request()
    )
    assert time.process_time() - start < 0.5
    assert found.sizes == {"locks": {"files": 1, "additions": 10**6, "deletions": 0}}
    assert [risk.kind for risk in found.risks] == ["dependency_changed"]


def test_rules_read_from_a_file_say_the_same() -> None:
    config = parse_config(b'[care]\nstudy = ["pay/**"]\nread = ["docs/api/"]\nglance = ["docs/"]\n')
    assert config.care_rule("pay/a/b.py") == "study"
    assert config.care_rule("docs/api/x.md") == "read"
    assert config.care_rule("docs/x.md") == "glance"
    assert config.care_rule("src/x.py") is None
