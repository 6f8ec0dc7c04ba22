"""The journal under kill -9: what was acknowledged is there, in order, once."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents.journal import last_seq, records_from


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.ndjson"


_WRITER = """
import os, sys
from pathlib import Path
from agents.events import Notice
from agents.journal import JournalWriter
journal = JournalWriter(Path(sys.argv[1]))
while True:
    seq = journal.append(Notice("x" * 300))
    os.write(1, b"%d\\n" % seq)
"""


def _killed_writer(path: Path, acknowledged: int) -> int:
    """Kill a writer in mid-work; returns the last number it said it had written."""
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, path], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(acknowledged):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read()
    writer.stdout.close()
    writer.wait(10)
    numbers = [int(line) for line in rest.split(b"\n")[:-1]]
    return numbers[-1] if numbers else 0


def _survives_kills(path: Path, kills: int) -> None:
    for number in range(kills):
        last = _killed_writer(path, 50 + number * 13 % 400)
        assert last_seq(path) >= last
    assert [r.seq for r in records_from(path, 0, 1_000_000)] == list(range(1, last_seq(path) + 1))


def test_kill_9_loses_nothing_that_was_written(path: Path) -> None:
    _survives_kills(path, 5)


@pytest.mark.slow
def test_kill_9_a_hundred_times_loses_nothing(path: Path) -> None:
    _survives_kills(path, 100)
