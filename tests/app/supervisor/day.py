"""The work of a rehearsed day: a harbour's repository, and thirty changes to it as scripts.

Two berth plans pass alone and fail together; two changes of the harbour's log conflict.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.app.supervisor.conftest import first_commit

GLANCE, READ, STUDY = 14, 10, 6
CHECK = "python3 -m unittest discover --quiet"
CONFIG = f"""
[check]
command = "{CHECK}"

[care]
study = ["tariffs/"]
glance = ["berths/", "docs/"]
"""
BERTHS = '''"""No two ships lie at one berth in the same hour."""

import unittest
from pathlib import Path


class BerthsTest(unittest.TestCase):
    def test_each_berth_is_taken_once(self):
        plans = [path.read_text().splitlines() for path in sorted(Path("berths").glob("*.txt"))]
        taken = [" ".join(line.split()[:2]) for plan in plans for line in plan]
        self.assertEqual(sorted(taken), sorted(set(taken)))
'''
MODULE = '''"""{name} of the harbour."""


def {name}(number):
    """How many hours it takes."""
    return number
'''
TEST = """import unittest

from {folder}.{name} import {name}


class {title}Test(unittest.TestCase):
    def test_it_grows_with_the_number(self):
        self.assertEqual({name}(3), {result})
"""
READS = ("cranes", "pilots", "tugs", "lamps", "buoys", "docks", "ropes", "crews", "gates", "boats")
STUDIES = ("anchorage", "cargo", "customs", "pilotage", "storage", "towage")


@dataclass(frozen=True)
class Work:
    """One change: what is asked for, what its care will be, and the shell script that does it."""

    title: str
    care: str
    run: str

    @property
    def prompt(self) -> str:
        """For the scripted driver."""
        return json.dumps({"run": self.run, "say": f"{self.title}: done."})


BAD = ("Berth the Aurora in the north", "Berth the Boreas in the north")  # both at one, in one hour
COLLIDING = ("Log the Aurora", "Log the Boreas")
MEND = (  # how the author of the second one puts both entries into the log
    "git merge --no-edit main >/dev/null; sed -i '/^[<=>]\\{7\\}/d' docs/log.md; "
    "git add -A; git commit -q --no-edit"
)


def work() -> list[Work]:
    """The thirty, cares mixed."""
    glances = [
        *(_glance(title, "berths", f"{at}.txt", "north 10") for at, title in enumerate(BAD)),
        *(_glance(title, "docs", "log.md", f"{title} on Monday.") for title in COLLIDING),
        *(_glance(f"Describe pier {n}", "docs", f"pier-{n}.md", f"# Pier {n}") for n in range(6)),
        *(_glance(f"Berth ship {n}", "berths", f"s{n}.txt", f"south {n}") for n in range(4)),
    ]
    reads = [Work(f"Count double for {name}", "read", _code("harbour", name)) for name in READS]
    studies = [
        Work(f"Raise {name}", "study", f"{_write('docs', f'{name}.md', f'# {name}')}; {code}")
        for name in STUDIES
        for code in [_code("tariffs", name)]
    ]
    all_ = [*glances, *reads, *studies]
    assert (len(glances), len(reads), len(studies)) == (GLANCE, READ, STUDY)
    return [all_[at * 7 % len(all_)] for at in range(len(all_))]


def make_repository(path: Path) -> Path:
    """The harbour with its rules, tests and one commit on main."""
    files = {
        "quarterdeck.toml": CONFIG,
        ".gitignore": "__pycache__/\n",
        "docs/log.md": "# Log\n",
        "tests/__init__.py": "",
        "tests/test_berths.py": BERTHS,
    }
    for folder, names in (("harbour", READS), ("tariffs", STUDIES)):
        files[f"{folder}/__init__.py"] = ""
        files |= {f"{folder}/{name}.py": MODULE.format(name=name) for name in names}
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    first_commit(path)
    return path


def _glance(title: str, folder: str, name: str, line: str) -> Work:
    return Work(title, "glance", f"{_write(folder, name, line)}; {_commit(title)}")


def _code(folder: str, name: str) -> str:
    """Two files: the module with another result, and a test of it."""
    test = TEST.format(folder=folder, name=name, title=name.title(), result=6)
    change = f"sed -i 's/return number/return number * 2/' {folder}/{name}.py"
    return f"{change}; {_write('tests', f'test_{name}.py', test)}; {_commit(f'{folder}: {name}')}"


def _write(folder: str, name: str, text: str) -> str:
    return f"mkdir -p {folder}; cat >> {folder}/{name} <<'END'\n{text}\nEND\ntrue"


def _commit(message: str) -> str:
    return f"git add -A && git commit -q -m '{message}'"
