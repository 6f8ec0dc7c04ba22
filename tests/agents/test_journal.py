"""The journal: whole lines, in order, numbered without a gap, whatever the disk does."""

import errno
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import configuration, given, settings
from hypothesis import strategies as st

from agents.events import (
    Event,
    Notice,
    Quota,
    QuotaWindow,
    Record,
    Text,
    Thinking,
    ToolCall,
    ToolOutput,
    TurnEnded,
    TurnStarted,
    UserMessage,
    decode,
    encode,
    utc_now,
)
from agents.journal import (
    JournalWriter,
    last_seq,
    lines_before,
    messages_said,
    read_after,
    records_from,
    sync,
    tail,
)
from agents.lines import MAX_LINE_BYTES, AppendFile
from agents.redact import Redactor

# Its notes would otherwise make a `.hypothesis` directory in the checkout.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "quarterdeck-hypothesis")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.ndjson"


def _all(path: Path) -> list[Record]:
    lines, _ = read_after(path, 0, 1_000_000_000)
    return [record for _, record, _ in lines if record is not None]


def _write(path: Path, *events: Event) -> None:
    journal = JournalWriter(path)
    for event in events:
        journal.append(event)
    journal.close()


def test_it_numbers_from_one_and_goes_on_after_reopening(path: Path) -> None:
    _write(path, Notice("a"), Notice("b"))
    _write(path, Notice("c"))
    assert [(r.seq, r.event) for r in _all(path)] == [
        (1, Notice("a")),
        (2, Notice("b")),
        (3, Notice("c")),
    ]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", [b'{"seq":3,"at":"20', b"x", b"\0" * 5000, b"y" * 200_000])
def test_it_seals_a_torn_last_line(path: Path, torn: bytes) -> None:
    _write(path, Notice("a"), Notice("b"))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert [r.seq for r in _all(path)] == [1, 2]
    _write(path, Notice("c"))
    assert path.read_bytes().startswith(whole + b'{"seq":3,')
    assert [r.seq for r in _all(path)] == [1, 2, 3]


def test_a_file_that_is_only_a_torn_line_starts_over(path: Path) -> None:
    path.write_bytes(b'{"seq":1')
    _write(path, Notice("a"))
    assert [r.seq for r in _all(path)] == [1]


def test_an_undecodable_line_is_passed_on_and_does_not_stop_the_count(path: Path) -> None:
    _write(path, Notice("a"))
    with path.open("ab") as file:
        file.write(b"garbage \xff\xfe\n" * 300)
    _write(path, Notice("b"))
    lines, offset = read_after(path, 0)
    assert [line[1].seq if line[1] else None for line in lines] == [1, *[None] * 300, 2]
    assert offset == lines[-1][0] == path.stat().st_size
    assert [r.seq for r in tail(path, 2)] == [2]
    assert [r.seq for r in records_from(path, 0, 9)] == [1, 2]


def test_pieces_of_one_stream_become_one_line(path: Path) -> None:
    journal = JournalWriter(path)
    seqs = [journal.append(Text("m", word)) for word in ("one ", "two ", "three")]
    assert seqs == [1, 1, 1]
    assert journal.due_seconds is not None
    assert 0 < journal.due_seconds <= 0.1
    assert journal.size == 0
    time.sleep(journal.due_seconds)
    journal.flush()
    assert [r.event for r in _all(path)] == [Text("m", "one two three")]
    assert journal.due_seconds is None
    journal.close()


def test_a_flush_before_its_time_writes_nothing(path: Path) -> None:
    journal = JournalWriter(path)
    journal.append(Text("m", "one"))
    journal.flush()
    assert journal.size == 0
    journal.flush(everything=True)
    assert journal.size > 0
    journal.close()


def test_any_other_event_comes_after_the_pieces_before_it(path: Path) -> None:
    events: list[Event] = [
        TurnStarted("t"),
        Thinking("m", "hm"),
        Thinking("m", "m"),
        Text("m", "a"),
        Text("m", "b"),
        ToolCall("c", "bash", "execute", "ls"),
        ToolOutput("c", "x"),
        ToolOutput("c", "y"),
        ToolOutput("d", "z"),
        Text("m", "c", final=True),
        TurnEnded("t", "completed"),
    ]
    _write(path, *events)
    assert [(r.seq, r.event) for r in _all(path)] == list(
        enumerate(
            [
                TurnStarted("t"),
                Thinking("m", "hmm"),
                Text("m", "ab"),
                ToolCall("c", "bash", "execute", "ls"),
                ToolOutput("c", "xy"),
                ToolOutput("d", "z"),
                Text("m", "c", final=True),
                TurnEnded("t", "completed"),
            ],
            1,
        )
    )


def test_a_piece_keeps_the_offset_of_its_first_raw_line(path: Path) -> None:
    journal = JournalWriter(path)
    journal.append(Text("m", "a"), 10)
    journal.append(Text("m", "b"), 20)
    journal.append(Notice("n"), 30)
    journal.close()
    assert [r.raw for r in _all(path)] == [10, 30]


def test_an_endless_stream_is_cut_into_lines(path: Path) -> None:
    journal = JournalWriter(path)
    for _ in range(100):
        journal.append(ToolOutput("c", "z" * 10_000))
    journal.close()
    assert "".join(r.event.text for r in _all(path)) == "z" * 1_000_000  # type: ignore[union-attr]
    assert len(_all(path)) > 10


@pytest.mark.parametrize(
    "event",
    [
        Text("m", "a" * 3_000_000, final=True),
        Text("m", "\x01" * 900_000, final=True),
        ToolCall("c", "edit", "edit", "f.py", {"old": "é" * 900_000, "new": ["b" * 900_000] * 3}),
        ToolCall("c", "edit", "edit", "f.py", {str(n): "short" for n in range(200_000)}),
        Notice("x" * 20_000_000),
    ],
)
def test_no_line_is_longer_than_a_megabyte(path: Path, event: Event) -> None:
    _write(path, event, Notice("after"))
    lines, _ = read_after(path, 0, 100_000_000)
    assert [record is not None for _, record, _ in lines] == [True, True]
    assert all(len(line) <= MAX_LINE_BYTES for _, _, line in lines)
    assert b" cut" in lines[0][2] or b"too long" in lines[0][2]


@pytest.mark.parametrize(
    "value",
    [
        "\ud800 alone",
        2**70,
        float("nan"),
        {"a": [{"b": "\udfff"}]},
        object(),
        {1: 2},
        {"s": {1, 2}},
    ],
)
def test_odd_values_from_a_vendor_are_kept_somehow(path: Path, value: object) -> None:
    _write(path, ToolCall("c", "bash", "execute", "odd", {"value": value}), Text("m", "\ud83d!"))
    assert [r.seq for r in _all(path)] == [1, 2]
    assert _all(path)[0].event.title == "odd"  # type: ignore[union-attr]


def test_odd_text_in_nested_structs_is_kept(path: Path) -> None:
    _write(path, Quota([QuotaWindow("five\ud800", 10.0, resets_at=utc_now())]))
    assert isinstance(_all(path)[0].event, Quota)


def test_it_masks_secrets_even_when_a_stream_splits_them(path: Path) -> None:
    journal = JournalWriter(path, Redactor(["correct-horse-battery"]))
    for piece in ("say corr", "ect-horse", "-battery now"):
        journal.append(Text("m", piece))
        while (due := journal.due_seconds) is not None and due < 1:
            time.sleep(due)
            journal.flush()
    journal.append(UserMessage("u", "correct-horse-battery"))
    journal.close()
    texts = [r.event.text for r in _all(path)]  # type: ignore[union-attr]
    assert "".join(texts[:-1]) == "say [secret] now"
    assert texts[-1] == "[secret]"
    assert [r.seq for r in _all(path)] == list(range(1, len(texts) + 1))


# --- a disk that refuses ------------------------------------------------------------------------


class Disk:
    """A write call that follows orders: how many bytes to take next, or -1 for a full disk."""

    def __init__(self, orders: list[int]) -> None:
        self.orders = orders

    def write(self, fd: int, data: bytes) -> int:
        order = self.orders.pop(0) if self.orders else len(data)
        if order < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data[:order]) if order else 0


def test_short_writes_and_a_full_disk_lose_nothing(path: Path) -> None:
    disk = Disk([5, -1, -1, 40, -1, 0, 70, -1])
    journal = JournalWriter(path, write=disk.write)
    for number in range(6):
        journal.append(Notice(f"number {number}"))
        assert path.read_bytes()[-1:] in (b"", b"\n")
        assert journal.size == path.stat().st_size
    while journal.due_seconds is not None:
        journal.flush()
    journal.append(Notice("last"))
    journal.close()
    texts = [r.event.text for r in _all(path)]  # type: ignore[union-attr]
    assert [text for text in texts if "disk" not in text] == [
        *(f"number {n}" for n in range(6)),
        "last",
    ]
    assert any("no record was lost" in text for text in texts)
    assert [r.seq for r in _all(path)] == list(range(1, len(texts) + 1))


_PIECES = st.builds(Text, st.sampled_from("ab"), st.text(max_size=20), final=st.booleans())
_EVENTS = st.lists(_PIECES | st.builds(Notice, st.text(max_size=30)), max_size=25)


@settings(deadline=None, max_examples=150, database=None)
@given(_EVENTS, st.lists(st.integers(-1, 200), max_size=60))
def test_any_events_on_any_disk_read_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, events: list[Any], orders: list[int]
) -> None:
    path = tmp_path_factory.mktemp("disk") / "journal.ndjson"
    journal = JournalWriter(path, write=Disk(orders).write)
    for event in events:
        journal.append(event)
        assert path.read_bytes()[-1:] in (b"", b"\n")
    journal.flush(everything=True)
    while journal.due_seconds is not None:
        journal.flush()
    journal.close()
    records = [r for r in _all(path) if "disk refused" not in getattr(r.event, "text", "")]
    assert _joined(r.event for r in records) == _joined(events)
    assert [r.seq for r in _all(path)] == list(range(1, journal.seq + 1))


def _joined(events: Any) -> list[tuple[str, str]]:
    joined: list[tuple[str, str]] = []
    open_piece = False
    for event in events:
        key = event.message_id if isinstance(event, Text) else ""
        if open_piece and key and joined[-1][0] == key:
            joined[-1] = (key, joined[-1][1] + event.text)
        else:
            joined.append((key, event.text))
        open_piece = bool(key) and not event.final
    return joined


_LIMITED = """
import resource, sys
from pathlib import Path
from agents.events import Notice
from agents.journal import JournalWriter
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
journal = JournalWriter(path)
for number in range(200):
    journal.append(Notice(f"number {number}"))
assert 4800 < path.stat().st_size == journal.size <= 5000, path.stat()
assert path.read_bytes().endswith(b"\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.close()
"""


def test_a_file_that_the_kernel_lets_grow_no_more_is_waited_for(path: Path) -> None:
    subprocess.run([sys.executable, "-c", _LIMITED, path], check=True, timeout=30, cwd=Path.cwd())
    texts = [r.event.text for r in _all(path)]  # type: ignore[union-attr]
    assert texts[:200] == [f"number {n}" for n in range(200)]


def test_when_memory_for_a_full_disk_is_used_up_the_loss_is_counted(path: Path) -> None:
    file = AppendFile(path, Disk([-1] * 100).write)
    line = b"x" * 9_000_000 + b"\n"
    assert [file.add(line) for _ in range(5)] == [True, True, True, False, False]
    assert file.lost == 2
    file.flush()
    file.close()


# --- reading ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "journal.ndjson"
    with path.open("wb") as file:
        for seq in range(1, 200_001):
            file.write(encode(Record(seq, utc_now(), Text(f"m{seq}", "word " * 60, final=True))))
    return path


def test_the_tail_of_a_long_journal_takes_milliseconds(long_journal: Path) -> None:
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        records = tail(long_journal, 200)
        best = min(best, time.perf_counter() - start)
    assert [r.seq for r in records] == list(range(199_801, 200_001))
    assert best < 0.02


def test_paging_backwards_meets_every_line_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    _write(path, *(Notice("n" * (number * 37 % 2000)) for number in range(1000)))
    path.write_bytes(path.read_bytes() + b'{"torn')
    seqs: list[int] = []
    before: int | None = None
    while lines := lines_before(path, 77, before):
        before = lines[0][0]
        seqs = [decode(line).seq for _, line in lines] + seqs
        assert records_from(path, before, 1)[0].seq == seqs[0]
    assert seqs == list(range(1, 1001))
    assert before == 0
    assert lines_before(path, 0) == []


def test_reading_in_small_steps_gives_every_line(path: Path) -> None:
    _write(path, *(Notice("n" * (number * 97 % 3000)) for number in range(200)))
    offset, seqs = 0, []
    while True:
        lines, after = read_after(path, offset, 500)
        if after == offset:
            break
        offset = after
        seqs += [record.seq for _, record, _ in lines if record]
    assert seqs == list(range(1, 201))


def test_a_torn_line_is_read_once_it_is_whole(path: Path) -> None:
    whole = encode(Record(1, utc_now(), Notice("a")))
    path.write_bytes(whole[:20])
    assert read_after(path, 0) == ([], 0)
    path.write_bytes(whole)
    assert read_after(path, 0)[1] == len(whole)


def test_a_missing_or_shrunk_file_is_told_by_the_offset(path: Path) -> None:
    assert read_after(path, 0) == ([], 0)
    assert read_after(path, 99) == ([], 0)
    assert (tail(path, 5), last_seq(path), sync(path)) == ([], 0, 0)
    _write(path, Notice("a"))
    size = path.stat().st_size
    assert read_after(path, size + 50) == ([], size)
    assert sync(path) == size


def test_it_finds_every_message_said(path: Path) -> None:
    _write(path, UserMessage("a", "one"), Text("x", "no"), UserMessage("b", "two"))
    assert messages_said(path) == {"a", "b"}
