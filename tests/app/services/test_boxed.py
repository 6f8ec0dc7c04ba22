"""A repository's own command: its exit, its limit, and nothing of it that lives on."""

import random
from pathlib import Path

import pytest

from agents import reaper, sandbox
from app.services.boxed import Ended, run_boxed
from app.services.context import Context


@pytest.fixture(params=["boxed", "unboxed"])
def house(request: pytest.FixtureRequest, ctx: Context) -> Context:
    if request.param == "boxed" and not sandbox.available().ok:
        pytest.skip("bubblewrap is not installed here")
    ctx.settings.sandbox = request.param == "boxed"
    return ctx


def run(ctx: Context, place: Path, command: str, limit_seconds: float = 20) -> Ended:
    tree, home = place / "tree", place / "own"
    tree.mkdir()
    home.mkdir()
    log = place / "out.log"
    return run_boxed(ctx, command, cwd=tree, home=home, log=log, limit_seconds=limit_seconds)


def test_it_tells_exit_and_output(house: Context, tmp_path: Path) -> None:
    assert run(house, tmp_path, "echo said; exit 3") == Ended(3, "said\n")


def test_output_that_is_no_text_can_be_kept(house: Context, tmp_path: Path) -> None:
    """PostgreSQL takes no NUL."""
    assert run(house, tmp_path, r"printf 'a\0b\377'") == Ended(0, "a\ufffdb\ufffd")


def test_a_daemon_that_left_its_group_does_not_live_on(house: Context, tmp_path: Path) -> None:
    seconds = str(random.randint(10_000, 99_999))  # tells our sleeper from anybody else's
    daemon = f"(setsid sh -c 'echo up > up; exec sleep {seconds}' &)"
    ended = run(house, tmp_path, f"{daemon}; until test -s up; do :; done")
    assert ended.exit_code == 0
    assert [pid for pid in reaper.processes() if _arguments(pid) == ["sleep", seconds]] == []


def test_one_that_hangs_is_stopped_at_its_limit(house: Context, tmp_path: Path) -> None:
    ended = run(house, tmp_path, "echo begun; sleep 317", limit_seconds=0.5)
    assert ended.exit_code is None
    assert ended.output_tail.startswith("begun")


def _arguments(pid: int) -> list[str]:
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return content.decode("utf-8", "replace").rstrip("\0").split("\0")
