"""The wheel, as a stranger gets it: built from the sdist, installed alone, run from elsewhere."""

import json
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import __version__
from app.paths import ROOT
from tests.conftest import GIT_ENVIRONMENT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("wheel")]


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel and nothing of ours besides."""

    bin: Path
    home: Path

    def run(self, *argv: str, cwd: Path = Path("/")) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / argv[0]), *argv[1:]],
            cwd=cwd,
            env=self.environment,
            text=True,
            capture_output=True,
            timeout=120,
        )

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.bin}:{os.environ['PATH']}"
        return {"PATH": path, "QUARTERDECK_HOME": str(self.home), **GIT_ENVIRONMENT}


def call(*argv: str) -> None:
    done = subprocess.run(argv, text=True, capture_output=True, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--outdir", str(out), str(ROOT))
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    directory = tmp_path_factory.mktemp("stranger")
    call(sys.executable, "-m", "venv", str(directory / "venv"))
    call(str(directory / "venv" / "bin" / "pip"), "install", "--quiet", str(wheel))
    return Installed(directory / "venv" / "bin", directory / "home")


def test_it_adds_two_names_and_holds_what_it_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"quarterdeck", f"quarterdeck-{__version__}.dist-info"}
    held = {
        "_root/app/main.py",
        "_root/agents/runner.py",
        "_root/templates/base.html",
        "_root/static/app.css",
        "_root/alembic/env.py",
        "_root/alembic/versions/0001_first.py",
        "_root/alembic/versions/0002_quota.py",
        "_root/alembic/versions/0003_throughput.py",
    }
    assert {f"quarterdeck/{name}" for name in held} <= set(names)
    assert f"quarterdeck-{__version__}.dist-info/licenses/LICENSE" in names
    leaked = re.compile(r"__pycache__|_root/tests/|\.db$|alembic/__init__|worktrees/|\.quarterdeck")
    assert [name for name in names if leaked.search(name)] == []


def test_it_hides_its_rooms_from_other_programs(installed: Installed) -> None:
    for room in ("app", "agents", "microgpt"):
        assert installed.run("python", "-c", f"import {room}").returncode != 0


def test_the_doctor_runs_from_anywhere(installed: Installed) -> None:
    done = installed.run("quarterdeck", "doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row["name"] for row in json.loads(done.stdout)} >= {"git", "home", "sandbox"}
    assert installed.run("quarterdeck", "--version").stdout == f"quarterdeck {__version__}\n"


@pytest.fixture
def served(installed: Installed, tmp_path: Path) -> Iterator[str]:
    """The address of a server of the installed program, in a repository of its own."""
    for argv in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "First"]):
        environment = {**os.environ, **GIT_ENVIRONMENT}
        subprocess.run(["git", *argv], cwd=tmp_path, check=True, env=environment)
    server = subprocess.Popen(
        [str(installed.bin / "quarterdeck"), "--port", "0"],
        cwd=tmp_path,
        env=installed.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    said = [server.stdout.readline(), server.stdout.readline()]
    found = re.search(r"(http://127\.0\.0\.1:\d+)/\?token=", said[1])
    assert found, said
    yield found[1]
    server.terminate()
    assert server.wait(timeout=30) == 0
    server.stdout.close()


def test_it_serves_and_runs_an_agent(installed: Installed, served: str) -> None:
    with urllib.request.urlopen(f"{served}/healthz", timeout=20) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{served}/static/app.css", timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/css")
    for argv in (
        ["agent", "add", "ada", "--driver", "scripted"],
        ["task", "add", "Say hello", "--prompt", "Say hello."],
    ):
        done = installed.run("quarterdeck", *argv)
        assert done.returncode == 0, done.stderr
    log = subprocess.Popen(
        [str(installed.bin / "quarterdeck"), "agent", "log", "ada", "--follow"],
        env=installed.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert log.stdout is not None
    assert any("turn completed" in line for line in log.stdout)
    log.terminate()
    log.wait(timeout=20)
    log.stdout.close()
