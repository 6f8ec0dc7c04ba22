"""Running checks: whatever a command does, it ends, is told truly, and leaves nothing behind."""

import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents import reaper, sandbox
from app.models import Check, MergeRequest
from app.paths import ROOT
from app.services import boxed, check_log, check_runs, checks
from app.services.context import Context
from tests.app.services.checking import Yard

SECONDS = 20.0
SERVER = """
import sys
from threading import Event
from app.services.check_runs import run_check
from app.services.context import Context
from app.settings import Settings
from app.store.database import Database

settings = Settings(sandbox=False)
ctx = Context(settings, Database(settings.database), lambda *topics: None)
run_check(ctx, int(sys.argv[1]), Event())
"""


@pytest.fixture(params=["boxed", "unboxed"])
def house(request: pytest.FixtureRequest, ctx: Context) -> Context:
    if request.param == "boxed" and not sandbox.available().ok:
        pytest.skip("bubblewrap is not installed here")
    ctx.settings.sandbox = request.param == "boxed"
    return ctx


@pytest.fixture
def sleep_seconds() -> Iterator[str]:
    """A number that tells our sleepers from anybody else's; none may outlive the test."""
    seconds = str(random.randint(10_000, 99_999))
    yield seconds
    assert sleepers(seconds) == []


def sleepers(seconds: str) -> list[int]:
    found = []
    for pid in reaper.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", seconds.encode()]:
            found.append(pid)
    return found


def only_the_log(ctx: Context, check: Check) -> bool:
    return [path.name for path in ctx.home.checks().iterdir()] == [f"{check.id}.log"]


def test_a_missing_command_is_named(house: Context, tmp_path: Path) -> None:
    check = Yard(house, tmp_path, "no-such-program --version").checked(a="1")
    assert (check.state, check.exit_code) == ("failed", 127)
    assert "no-such-program" in check.output_tail
    assert "a program that it names is missing here" in check.output_tail


def test_an_end_by_a_signal_is_named(house: Context, tmp_path: Path) -> None:
    check = Yard(house, tmp_path, "kill -SEGV $$").checked(a="1")
    assert (check.state, check.exit_code) == ("failed", 139)
    assert check.output_tail.endswith("[ended by SIGSEGV]")
    assert check_log.tail(house, check.id or 0, 0).text == check.output_tail


def test_one_that_says_nothing_more_is_not_cut_short(house: Context, tmp_path: Path) -> None:
    """It closes its output and works on for longer than any grace."""
    check = Yard(house, tmp_path, "echo on; exec >&- 2>&-; sleep 1.5; exit 4").checked(a="1")
    assert (check.state, check.exit_code, check.output_tail) == ("failed", 4, "on\n")


def test_a_daemon_neither_keeps_it_nor_outlives_it(
    house: Context, tmp_path: Path, sleep_seconds: str
) -> None:
    daemon = f"(setsid sh -c 'echo up > up; exec sleep {sleep_seconds}' &)"
    check = Yard(house, tmp_path, f"{daemon}; until test -s up; do :; done").checked(a="1")
    assert check.state == "passed"


def test_a_daemon_that_writes_on_does_not_keep_it(house: Context, tmp_path: Path) -> None:
    began = time.monotonic()
    check = Yard(house, tmp_path, "(setsid yes &) ; sleep 0.1").checked(a="1")
    assert check.state == "passed"
    assert time.monotonic() - began < SECONDS


def test_one_that_hangs_is_killed_with_its_group(
    house: Context, tmp_path: Path, sleep_seconds: str
) -> None:
    command = f"trap '' TERM; sleep {sleep_seconds} & sleep {sleep_seconds}"
    check = Yard(house, tmp_path, command, "timeout_seconds = 1").checked(a="1")
    assert (check.state, check.exit_code) == ("timeout", None)


@pytest.mark.slow
def test_a_gigabyte_is_read_and_its_beginning_and_end_kept(house: Context, tmp_path: Path) -> None:
    command = "echo first; head -c 1000000000 /dev/zero | tr '\\0' x; echo; echo last; exit 1"
    check = Yard(house, tmp_path, command).checked(a="1")
    assert (check.state, check.exit_code) == ("failed", 1)
    assert check.output_tail.endswith("x\nlast\n")
    assert len(check.output_tail) <= 64_000
    assert check_log.tail(house, check.id or 0, 0).text.startswith("first\nxxx")
    whole = (house.home.checks() / f"{check.id}.log").stat().st_size
    assert boxed.OUTPUT_BYTES < whole < boxed.OUTPUT_BYTES + 100_000


def test_what_it_writes_into_its_tree_stays_there(house: Context, tmp_path: Path) -> None:
    """Huge files, locked folders, changed sources: the next run sees none of it."""
    command = "test ! -e junk && mkdir junk && truncate -s 20G junk/huge && echo 2 > a && chmod 0 ."
    yard = Yard(house, tmp_path, command)
    check = yard.checked(a="1")
    assert check.state == "passed"
    assert only_the_log(house, check)
    again = yard.run(checks.rerun(house, check.id or 0))
    assert (again.state, again.run) == ("passed", 2)


def test_one_that_fills_the_disk_is_stopped(
    house: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleep_seconds: str
) -> None:
    monkeypatch.setattr(boxed, "LEAST_FREE_BYTES", shutil.disk_usage(tmp_path).total)
    check = Yard(house, tmp_path, f"sleep {sleep_seconds}").checked(a="1")
    assert (check.state, check.exit_code) == ("error", None)
    assert "the disk is full" in check.output_tail


def test_cancelled_in_mid_run_it_is_killed_and_says_why(
    house: Context, tmp_path: Path, sleep_seconds: str
) -> None:
    yard = Yard(house, tmp_path, f"echo began; sleep {sleep_seconds}")
    check = yard.want(yard.request(yard.tree(a="1")))
    bell = threading.Event()
    run = threading.Thread(target=check_runs.run_check, args=(house, check.id or 0, bell))
    run.start()
    until(lambda: "began" in check_log.tail(house, check.id or 0, 0).text)
    checks.cancel(house, check.id or 0)
    bell.set()
    run.join(SECONDS)
    assert not run.is_alive()
    assert yard.now(check).state == "stale"
    assert "Cancelled by you" in yard.now(check).output_tail
    assert only_the_log(house, check)


def test_a_verdict_after_it_was_dropped_is_nobodys(house: Context, tmp_path: Path) -> None:
    """The tree moved while it ran, and it ended before anybody could stop it."""
    yard = Yard(house, tmp_path, "echo began; until test -e ../home/go; do sleep 0.05; done")
    check = yard.want(yard.request(yard.tree(a="1")))
    run = threading.Thread(
        target=check_runs.run_check, args=(house, check.id or 0, threading.Event())
    )
    run.start()
    until(lambda: "began" in check_log.tail(house, check.id or 0, 0).text)
    with house.db.write() as db:
        db.get_one(MergeRequest, check.merge_request_id).tree_sha = ""
    check_runs.drop_unneeded(house)
    (house.home.checks() / str(check.id) / "home" / "go").touch()
    run.join(SECONDS)
    assert yard.now(check).state == "stale"


def test_a_tree_that_is_gone_is_told(house: Context, tmp_path: Path) -> None:
    yard = Yard(house, tmp_path, "true")
    check = yard.run(yard.want(yard.request("e" * 40)))
    assert check.state == "error"
    assert "git cat-file failed" in check.output_tail
    assert check_log.tail(house, check.id or 0, 0) == (
        check.output_tail,
        len(check.output_tail),
        True,
    )


def test_output_is_followed_as_it_comes(
    house: Context, tmp_path: Path, published: list[str]
) -> None:
    yard = Yard(
        house, tmp_path, "printf 'ä\\303'; until test -e ../home/go; do :; done; echo '\\244'"
    )
    check = yard.want(yard.request(yard.tree(a="1")))
    copy = yard.want(yard.request(check.tree_sha))
    number = check.id or 0
    assert check_log.tail(house, number, 0) == ("", 0, False)
    run = threading.Thread(target=check_runs.run_check, args=(house, number, threading.Event()))
    run.start()
    until(lambda: published.count(f"check:{number}") >= 3)  # wanted, begun, said something
    assert check_log.tail(house, number, 0) == ("ä", 2, False)  # half a character waits
    (house.home.checks() / str(number) / "home" / "go").touch()
    run.join(SECONDS)
    assert check_log.tail(house, number, 2) == ("ä\n", 5, True)
    assert check_log.tail(house, copy.id or 0, 0) == ("ää\n", 5, True)
    assert check_log.tail(house, number, -3) == ("ä\n", 5, True)
    assert check_log.tail(house, number, 99) == ("", 5, True)


@pytest.mark.slow
def test_a_flood_rings_four_times_a_second_at_most(
    house: Context, tmp_path: Path, published: list[str]
) -> None:
    check = Yard(house, tmp_path, "timeout 2 yes; true").checked(a="1")
    assert check.state == "passed"
    assert published.count(f"check:{check.id}") <= 4 * 2 + 5


def test_old_logs_make_room(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yard = Yard(ctx, tmp_path, "cat a")
    old = yard.checked(a="1234567")
    monkeypatch.setattr(check_log, "ROOM_BYTES", 10)
    new = yard.checked(a="7654321")
    assert only_the_log(ctx, new)
    assert check_log.tail(ctx, old.id or 0, 0).text == "1234567"


def test_a_server_that_was_killed_leaves_no_run_behind(
    ctx: Context, tmp_path: Path, sleep_seconds: str
) -> None:
    """Unboxed, so that nothing but the next start can end it; the server's end is a process's."""
    ctx.settings.sandbox = False
    yard = Yard(ctx, tmp_path, f"(setsid sleep {sleep_seconds} &); echo up; sleep {sleep_seconds}")
    check = yard.want(yard.request(yard.tree(a="1")))
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(check.id)], cwd=ROOT)
    until(lambda: len(sleepers(sleep_seconds)) == 2)
    server.kill()
    server.wait(SECONDS)
    assert len(sleepers(sleep_seconds)) == 2
    check_runs.requeue_interrupted(ctx)
    assert sleepers(sleep_seconds) == []
    assert yard.now(check).state == "queued"
    assert only_the_log(ctx, check)


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)
