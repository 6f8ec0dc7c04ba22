"""How fast the vendors' own usage logs are read: a directory of them, then again, then what is new.

The logs are made for the run, in the vendors' forms: mostly results of tools, answers logged
several times, files that copy others. Time holds finding, reading and deduplicating the records
on one core; the logs were just written, so they come from the page cache, not from a disk.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from agents.meters.base import Cursor, LogReader
from agents.meters.ledger import MemoryLedger
from agents.meters.readers import READERS
from agents.meters.scan import scan
from agents.meters.specimen import Written, write_specimen
from app.bench import Bar, Result
from app.show import progress

GIB = 2**30
GIB_SECONDS = 30.0
COLUMNS = (
    "logs of",
    "MB",
    "calls",
    "records",
    "scan s",
    "MB/s",
    "json.loads MB/s",
    "ratio",
    "again ms",
    "one new line ms",
)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=200, help="of logs, for each driver")
    options.add_argument("--seed", type=int, default=0)
    return options


def run(options: argparse.Namespace) -> Result:
    """Write, scan, compare with decoding every line, and check the count."""
    rows: list[tuple[object, ...]] = []
    bars: list[Bar] = []
    for driver, reader in READERS.items():
        progress(f"writing {options.megabytes} MB of {driver} logs ...")
        with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as place:
            written = write_specimen(
                driver, Path(place), options.megabytes * 1_000_000, options.seed
            )
            row, seconds, missed = _measure(reader, Path(place), written)
        rows.append((driver, *row))
        expected = seconds * GIB / written.byte_count
        bars += [
            Bar(f"{driver}: 1 GiB, extrapolated", round(expected, 2), GIB_SECONDS, "s"),
            Bar(f"{driver}: output tokens miscounted", missed, 0),
        ]
    note = f"1 GiB is extrapolated from {options.megabytes} MB; one process, one core, warm cache."
    return Result(COLUMNS, rows, bars, [note])


def _measure(
    reader: LogReader, place: Path, written: Written
) -> tuple[tuple[object, ...], float, int]:
    ledger, cursors = MemoryLedger(), dict[str, Cursor]()
    seconds, records = _scan(reader, place, ledger, cursors)
    missed = abs(sum(r.output_tokens for r in ledger.records) - written.output_tokens)
    again, _ = _scan(reader, place, ledger, cursors)
    with reader.find(place)[0].open("ab") as file:
        file.write(b"{}\n")
    new, _ = _scan(reader, place, ledger, cursors)
    plain = _decode_every_line(reader, place)
    size = written.byte_count / 1e6
    row = (
        round(size),
        len(ledger.records),
        records,
        round(seconds, 2),
        round(size / seconds),
        round(size / plain),
        f"{plain / seconds:.1f}x",
        round(again * 1000, 1),
        round(new * 1000, 1),
    )
    return row, seconds, missed


def _scan(
    reader: LogReader, place: Path, ledger: MemoryLedger, cursors: dict[str, Cursor]
) -> tuple[float, int]:
    """Seconds, and records before deduplication."""
    records = 0
    started = time.perf_counter()
    for batch in scan(place, reader, cursors):
        ledger.add(batch.records)
        records += len(batch.records)
        if batch.cursor:
            cursors[batch.path] = batch.cursor
    return time.perf_counter() - started, records


def _decode_every_line(reader: LogReader, place: Path) -> float:
    started = time.perf_counter()
    for path in reader.find(place):
        with path.open("rb") as file:
            for line in file:
                json.loads(line)
    return time.perf_counter() - started
