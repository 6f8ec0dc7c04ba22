"""The house keeps its shape: directions, seams, sizes, and the few things nobody may do."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from app.paths import ROOT

MAX_LINES, MAX_TEST_LINES, MAX_FUNCTION_LINES = 300, 500, 80

# Vendors are known here, and below these directories.
VENDOR_ROOMS = ("agents/drivers/", "agents/meters/", "agents/rehearsal/", "agents/registry.py")
VENDOR_NAMES = re.compile(r"claude|codex|anthropic|openai", re.IGNORECASE)
VENDOR_EXCEPTIONS = {
    "agents/base.py": "an example in a comment",
    "app/services/environment.py": "a directory that holds programs, shown in the sandbox",
    "templates/accounts/index.html": "an example in an empty field",
}
VENDOR_EXCEPTION_ROOMS = ("app/demo/",)  # its cast: two of one, two of the other

TASK_ROOMS = ("app/supervisor/", "app/web/live.py", "app/bench/", "agents/")
TASKS = re.compile(r"create_task|ensure_future|TaskGroup|create_task_group")

RAW_HTML = re.compile(r"\|\s*safe\b|\.(inner|outer)HTML\b|insertAdjacentHTML|\bMarkup\(")
RAW_HTML_EXCEPTIONS = {
    "app/web/diffview.py": "ten thousand lines are too many for a template; it escapes each",
    "static/log.js": "parses chunks of the log, which our own templates wrote and escaped",
}

NOT_OURS = ("static/vendor/", "app/demo/project/")  # libraries; the repository agents work on

OVERSIZE = {  # file: why it is one thing
    "tests/app/web/gallery.py": "one data set: the fleet that the pages are looked at with",
}


def sources(*rooms: str, suffix: str = ".py") -> Iterator[tuple[str, str]]:
    """Path from the root, and text, of every file of ours below the rooms."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob(f"*{suffix}")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(NOT_OURS) and "__pycache__" not in path.parts:
                yield name, path.read_text()


def test_imports_go_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True, is_debug_mode=False) == 0, "run `make lint` to see it"


def test_vendors_names_stay_in_their_rooms() -> None:
    texts = [*sources("app", "agents", "alembic"), *sources("templates", suffix=".html")]
    texts += [*sources("static", suffix=".js"), *sources("static", suffix=".css")]
    found = {path for path, text in texts if VENDOR_NAMES.search(text)}
    outside = {
        path for path in found if not path.startswith((*VENDOR_ROOMS, *VENDOR_EXCEPTION_ROOMS))
    }
    assert outside == set(VENDOR_EXCEPTIONS)


def test_no_template_asks_which_driver_it_is() -> None:
    asks = re.compile(r"\bdriver(_id)?\s*(==|!=|in)\s")
    assert [path for path, text in sources("templates", suffix=".html") if asks.search(text)] == []


def test_the_migrations_directory_is_no_package() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()  # it would hide the library
    import alembic

    assert Path(str(alembic.__file__)).parent != ROOT / "alembic"


def test_nobody_else_provides_our_import_names() -> None:
    provided = packages_distributions()
    for name in ("app", "agents", "microgpt"):
        assert set(provided.get(name, [])) <= {"quarterdeck"}


def test_files_stay_small() -> None:
    code = [*sources("app", "agents", "microgpt"), *sources("static", suffix=".js")]
    lines = {path: (text.count("\n"), MAX_LINES) for path, text in code}
    lines |= {path: (text.count("\n"), MAX_TEST_LINES) for path, text in sources("tests")}
    long = {path: count for path, (count, limit) in lines.items() if count > limit}
    assert {path: count for path, count in long.items() if path not in OVERSIZE} == {}


def test_functions_stay_small() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path, text in sources("app", "agents")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert long == []


def test_functions_stay_simple() -> None:
    linted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "C901,PLR0915", "app", "agents"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert linted.returncode == 0, linted.stdout


def test_tasks_are_born_in_few_places() -> None:
    texts = sources("app", "agents")
    found = [path for path, text in texts if TASKS.search(text)]
    assert [path for path in found if not path.startswith(TASK_ROOMS)] == []


def test_the_server_never_spawns_through_its_loop() -> None:
    spawns = re.compile(r"create_subprocess_|subprocess_exec|loop\.subprocess")
    assert [path for path, text in sources("app") if spawns.search(text)] == []


def test_no_shell_is_asked_to_split_our_words() -> None:
    shells = re.compile(r"shell\s*=\s*True|os\.system\(|os\.popen\(")
    assert [path for path, text in sources("app", "agents") if shells.search(text)] == []


def test_html_is_made_by_templates_only() -> None:
    texts = [*sources("app"), *sources("templates", suffix=".html")]
    texts += list(sources("static", suffix=".js"))
    found = {path for path, text in texts if RAW_HTML.search(text)}
    assert found == set(RAW_HTML_EXCEPTIONS)


def test_pages_load_nothing_from_elsewhere() -> None:
    loads = re.compile(r"""(src|href)=["']https?://|url\(["']?https?://|@import""")
    texts = [*sources("templates", suffix=".html"), *sources("static", suffix=".css")]
    found = [path for path, text in texts for hit in loads.findall(text) if hit]
    assert [path for path in found if not path.startswith("templates/")] == []
    scripts = re.compile(r"""<(script|link|img|iframe)[^>]*(src|href)=["']https?://""")
    assert [
        path for path, text in sources("templates", suffix=".html") if scripts.search(text)
    ] == []


def test_every_module_says_what_it_owns() -> None:
    silent = [
        path
        for path, text in sources("app", "agents")
        if text.strip() and ast.get_docstring(ast.parse(text)) is None
    ]
    assert silent == []


def test_the_worktrees_directory_is_empty_but_for_its_ignore_file() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "worktrees"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert set(tracked.stdout.split()) <= {"worktrees/.gitignore"}
    assert (ROOT / "worktrees" / ".gitignore").read_text().splitlines()[1:] == ["*", "!.gitignore"]
