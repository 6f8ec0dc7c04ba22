"""Sweeps: everything that belongs to a session, nothing that does not."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agents import reaper


@pytest.fixture
def mark() -> Iterator[str]:
    mark = f"sweep-{uuid.uuid4().hex[:12]}"
    yield mark
    reaper.kill_marked(mark)


def _shell(command: str, mark: str = "") -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"], **({reaper.MARK: mark} if mark else {})}
    return subprocess.Popen(
        ["/bin/sh", "-c", command], env=environment, stdout=subprocess.PIPE, start_new_session=True
    )


def _first_line(child: subprocess.Popen[bytes]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().decode().strip()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait(10)
    assert child.stdout is not None
    child.stdout.close()


def test_it_ends_marked_processes_whoever_their_parent_is(mark: str) -> None:
    child = _shell("setsid sh -c 'setsid sleep 600 & echo up; exec sleep 600' & wait", mark)
    _first_line(child)
    assert len(reaper.marked(mark)) == 3
    assert reaper.kill_marked(mark) == 3
    assert reaper.marked(mark) == []
    _end(child)


def test_it_ends_what_dropped_its_mark_but_hangs_below_one(mark: str) -> None:
    child = _shell("env -i sleep 600 & echo $!; wait", mark)
    unmarked = int(_first_line(child))
    identity = reaper.identify(unmarked)
    reaper.kill_marked(mark)
    assert not reaper.is_alive(identity)
    _end(child)


def test_it_spares_every_other_session_and_us(mark: str) -> None:
    other = _shell("echo up; exec sleep 600", f"{mark}-other")
    _first_line(other)
    assert reaper.kill_marked(mark) == 0
    assert other.poll() is None
    assert reaper.kill_marked(f"{mark}-other") == 1
    _end(other)


def test_term_comes_before_kill(mark: str) -> None:
    child = _shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done", mark)
    _first_line(child)
    reaper.kill_marked(mark, grace_seconds=5)
    assert _first_line(child) == "bye"
    _end(child)


def test_what_ignores_term_is_killed(mark: str) -> None:
    child = _shell("trap '' TERM; echo up; while :; do sleep 0.01; done", mark)
    _first_line(child)
    reaper.kill_marked(mark, grace_seconds=0.05)
    assert child.wait(5) == -signal.SIGKILL
    _end(child)


def test_a_process_that_forks_and_leaves_does_not_get_away(mark: str) -> None:
    """Each link of the chain lives for a moment and is orphaned when it has made the next.

    One that forks without a pause can outrun any sweep; only a sandbox's process namespace ends
    it for sure. The chain ends by itself, so that a lost race does not burn the machine.
    """
    link = """
import os, time
print("up", flush=True)
end = time.monotonic() + 20
while time.monotonic() < end:
    time.sleep(0.01)
    if os.fork():
        os._exit(0)
    os.setsid()
"""
    environment = {"PATH": os.environ["PATH"], reaper.MARK: mark}
    child = subprocess.Popen(
        [sys.executable, "-c", link],
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    _first_line(child)
    for _ in range(50):
        reaper.kill_marked(mark)
        if not reaper.marked(mark):
            break
    time.sleep(0.05)  # several links' lives: one that got away would be seen again
    assert reaper.marked(mark) == []
    _end(child)


_ADOPTS = """
import os, subprocess
from agents import reaper
reaper.own_children()
shell = subprocess.Popen(
    ["/bin/sh", "-c", "(env -i setsid sh -c 'echo $$; exec sleep 600' &)"], stdout=subprocess.PIPE
)
orphan = int(shell.stdout.readline())
shell.wait(10)
identity = reaper.identify(orphan)
assert reaper.processes()[orphan].ppid == os.getpid(), "not adopted"
assert reaper.is_alive(identity)
assert reaper.kill_descendants(os.getpid(), 0.2) == 1
assert not reaper.is_alive(identity)
seen = reaper.reap_orphans(set())
assert seen == {orphan}, seen
assert reaper.reap_orphans(seen) == set()
assert orphan not in reaper.processes()
print("ok")
"""


def test_orphans_are_adopted_swept_and_collected() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ADOPTS], capture_output=True, text=True, timeout=30
    )
    assert done.stdout.strip() == "ok", done.stderr


def test_an_identity_is_one_process_of_one_boot() -> None:
    me = reaper.identify(os.getpid())
    assert reaper.is_alive(me)
    assert not reaper.is_alive(msgspec.structs.replace(me, start_ticks=me.start_ticks + 1))
    assert not reaper.is_alive(msgspec.structs.replace(me, boot_id="another boot"))
    with pytest.raises(ProcessLookupError):
        reaper.identify(2**22 + 1)


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["/bin/sh", "-c", "read x"], stdin=subprocess.PIPE)
    identity = reaper.identify(child.pid)
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not reaper.is_alive(identity)
    child.wait(10)


def test_a_process_with_a_strange_name_is_read_right(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "600"])
    found = reaper.processes()[child.pid]
    assert (found.ppid, found.state in "RS") == (os.getpid(), True)
    child.kill()
    child.wait(10)
