"""Reading only what is new, whatever happens to the files in between."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.meters import scan as scanning
from agents.meters.base import Batch, Cursor
from agents.meters.ledger import MemoryLedger
from agents.meters.readers import READERS
from agents.meters.specimen import Written, write_specimen

CLAUDE = READERS["claude_code"]


def row(number: int) -> bytes:
    """A line of 2 ** number output tokens, so that a sum tells which lines were counted."""
    usage = f'{{"input_tokens":0,"output_tokens":{2**number}}}'
    return (
        f'{{"type":"assistant","timestamp":"2026-11-22T10:00:00Z","sessionId":"s","requestId":"r",'
        f'"message":{{"id":"m{number}","model":"m","usage":{usage}}}}}\n'
    ).encode()


def rows(*numbers: int) -> bytes:
    return b"".join(row(number) for number in numbers)


class Importer:
    """What an application does: cursors stored by path, records into a ledger, changes summed."""

    def __init__(self, config_dir: Path, driver: str = CLAUDE.id) -> None:
        self.config_dir, self.reader = config_dir, READERS[driver]
        self.cursors: dict[str, Cursor] = {}
        self.ledger = MemoryLedger()
        self.output_tokens = 0

    def scan(self) -> list[Batch]:
        batches = list(scanning.scan(self.config_dir, self.reader, self.cursors))
        for batch in batches:
            for change in self.ledger.add(batch.records):
                self.output_tokens += change.sign * change.record.output_tokens
            if batch.cursor:
                self.cursors[batch.path] = batch.cursor
        return batches


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "projects" / "-work" / "s.jsonl"
    path.parent.mkdir(parents=True)
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_it_reads_only_new_bytes_of_changed_files(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    log.write_bytes(rows(0, 1))
    log.with_name("other.jsonl").write_bytes(rows(2))
    assert len(importer.scan()) == 2
    assert importer.scan() == []
    append(log, rows(3))
    [batch] = importer.scan()
    assert (batch.bytes_read, importer.output_tokens) == (len(row(3)), 1 + 2 + 4 + 8)


def test_a_half_written_line_waits(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    log.write_bytes(rows(0) + row(1)[:50])
    [batch] = importer.scan()
    assert (importer.output_tokens, batch.unreadable_lines) == (1, 0)
    assert importer.scan() == []
    append(log, row(1)[50:-1])
    importer.scan()
    assert importer.output_tokens == 1  # whole but for its end
    append(log, b"\n")
    importer.scan()
    assert importer.output_tokens == 3


def test_a_file_cut_and_written_anew_is_not_counted_twice(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    log.write_bytes(rows(0, 1, 2))
    importer.scan()
    log.write_bytes(rows(0, 3))  # the same inode, shorter
    [batch] = importer.scan()
    assert batch.is_anew
    assert importer.output_tokens == 1 + 2 + 4 + 8


def test_other_content_that_is_longer_is_noticed(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    log.write_bytes(rows(0, 1))
    importer.scan()
    log.write_bytes(rows(4, 5, 6))
    [batch] = importer.scan()
    assert batch.is_anew
    assert importer.output_tokens == 1 + 2 + 16 + 32 + 64


def test_a_replaced_file_is_read_anew(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    log.write_bytes(rows(0, 1))
    importer.scan()
    other = log.with_suffix(".new")
    other.write_bytes(rows(2, 0, 1))
    other.replace(log)
    importer.scan()
    assert importer.output_tokens == 7


def test_a_moved_file_is_read_on(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    log.write_bytes(rows(0, 1))
    importer.scan()
    moved = log.with_name("moved.jsonl")
    log.rename(moved)
    append(moved, rows(2))
    [batch] = importer.scan()
    assert (batch.path, batch.bytes_read) == (str(moved), len(row(2)))
    assert importer.output_tokens == 7
    assert importer.scan() == []


def test_a_touched_file_brings_nothing(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    log.write_bytes(rows(0))
    importer.scan()
    os.utime(log, ns=(1, 1))
    assert [batch.bytes_read for batch in importer.scan()] == [0]
    assert importer.scan() == []


def test_a_file_that_vanished_keeps_its_count(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    log.write_bytes(rows(0))
    importer.scan()
    log.unlink()
    assert importer.scan() == []
    assert importer.output_tokens == 1


def test_undecodable_lines_are_counted_and_passed_over(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    deep = b'{"type":"assistant","usage":' + b"[" * 100_000 + b"\n"
    log.write_bytes(row(0)[:60] + row(1) + deep + b'"usage" \xff\n' + b"\0" * 50 + b"\n" + row(2))
    [batch] = importer.scan()
    assert (batch.unreadable_lines, importer.output_tokens) == (3, 4)


def test_a_file_that_cannot_be_read_is_a_problem_and_not_the_end(tmp_path: Path, log: Path) -> None:
    importer = Importer(tmp_path)
    log.write_bytes(rows(0))
    log.with_name("a.jsonl").mkdir()
    problems = {Path(batch.path).name: batch.problem for batch in importer.scan()}
    assert "directory" in problems["a.jsonl"]
    assert importer.output_tokens == 1


def test_a_file_larger_than_a_block_comes_in_batches_that_continue(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "BLOCK_BYTES", 300)
    log.write_bytes(rows(*range(20)))
    batches = Importer(tmp_path).scan()
    assert len(batches) > 5
    for stop in range(len(batches)):  # killed after any batch, it goes on from its cursor
        importer = Importer(tmp_path)
        for batch in batches[:stop]:
            importer.ledger.add(batch.records)
            assert batch.cursor
            importer.cursors[batch.path] = batch.cursor
        before = sum(record.output_tokens for record in importer.ledger.records)
        importer.scan()
        assert before + importer.output_tokens == 2**20 - 1


def test_a_line_without_end_is_skipped_in_bounded_memory(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(scanning, "MAX_LINE_BYTES", 3000)
    importer = Importer(tmp_path)
    log.write_bytes(rows(0) + b'"usage"' * 10_000)
    importer.scan()
    append(log, b"\n" + rows(1))
    assert [batch.unreadable_lines for batch in importer.scan() if batch.unreadable_lines] == [1]
    assert importer.output_tokens == 3


@pytest.mark.parametrize("driver", READERS)
def test_a_specimen_is_counted_to_the_token(tmp_path: Path, driver: str) -> None:
    written = write_specimen(driver, tmp_path, byte_count=2_000_000, seed=5)
    importer = Importer(tmp_path, driver)
    batches = importer.scan()
    assert importer.output_tokens == written.output_tokens
    assert len(importer.ledger.records) == written.calls
    assert sum(batch.bytes_read for batch in batches) == written.byte_count
    assert sum(len(batch.records) for batch in batches) > written.calls  # copies were seen
    assert not any(batch.unreadable_lines or batch.problem for batch in batches)


@pytest.fixture(scope="module")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Written]]:
    """A small directory of logs of each driver, and what is in it."""
    places = {driver: tmp_path_factory.mktemp(driver) for driver in READERS}
    return {
        driver: (place, write_specimen(driver, place, byte_count=200_000, seed=1))
        for driver, place in places.items()
    }


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 120_000), max_size=8),
    block=st.integers(200, 30_000),
    driver=st.sampled_from(sorted(READERS)),
    restarts=st.booleans(),
)
def test_any_chunking_of_appends_gives_the_same_sum(
    specimens: dict[str, tuple[Path, Written]],
    cuts: list[int],
    block: int,
    driver: str,
    restarts: bool,
) -> None:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "BLOCK_BYTES", block)
        target = Path(place)
        source, written = specimens[driver]
        files = READERS[driver].find(source)
        importer = Importer(target, driver)
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True):
            for file in files:
                copy = target / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                append(copy, file.read_bytes()[start:end])
            importer.scan()
            if restarts:
                importer.cursors.clear()  # lost: everything is read again
        assert importer.output_tokens == written.output_tokens
        assert len(importer.ledger.records) == written.calls
