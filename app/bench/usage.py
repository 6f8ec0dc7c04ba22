"""How fast the vendors' own usage logs are read: a directory of them, then again, then what is new.

The logs are made for the run, in the vendors' forms: mostly results of tools, answers logged
several times, files that copy others. Time holds finding, reading and deduplicating the records
on one core, first in memory, then into a fresh SQLite database as the server does it; the logs
were just written, so they come from the page cache, not from a disk.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func
from sqlmodel import Session, col, select

from agents.meters.base import Cursor, LogReader
from agents.meters.ledger import MemoryLedger
from agents.meters.readers import READERS
from agents.meters.scan import scan
from agents.meters.specimen import Written, write_specimen
from app.bench import Bar, Result
from app.models import Account, OutsideMinute
from app.services import outside
from app.services.context import Context
from app.settings import Settings
from app.show import progress
from app.store.database import Database
from app.store.migrate import upgrade

GIB = 2**30
GIB_SECONDS = 30.0
HELD_MS = 100.0
COLUMNS = (
    "logs of",
    "MB",
    "calls",
    "records",
    "scan s",
    "ledger s",
    "writer held ms",
    "MB/s",
    "json.loads MB/s",
    "ratio",
    "again ms",
    "one new line ms",
    "ledger again ms",
)


@dataclass(frozen=True)
class Stored:
    """An import into the database."""

    seconds: float
    again_ms: float
    held_ms: float  # the longest transaction
    missed: int  # output tokens, too many or too few


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
            stored = _measure_database(driver, Path(place), written)
            row, missed = _measure(reader, Path(place), written, stored)
        rows.append((driver, *row))
        expected = stored.seconds * GIB / written.byte_count
        bars += [
            Bar(f"{driver}: 1 GiB into the ledger", round(expected, 2), GIB_SECONDS, "s"),
            Bar(f"{driver}: the writer held at most", round(stored.held_ms), HELD_MS, "ms"),
            Bar(f"{driver}: output tokens miscounted", missed + stored.missed, 0),
        ]
    note = f"1 GiB is extrapolated from {options.megabytes} MB; one process, one core, warm cache."
    if options.megabytes < 1000:
        note += " The ledger slows down as it grows: --megabytes 1000 tells the truth."
    return Result(COLUMNS, rows, bars, [note])


def _measure(
    reader: LogReader, place: Path, written: Written, stored: Stored
) -> tuple[tuple[object, ...], int]:
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
        round(stored.seconds, 2),
        round(stored.held_ms),
        round(size / seconds),
        round(size / plain),
        f"{plain / seconds:.1f}x",
        round(again * 1000, 1),
        round(new * 1000, 1),
        round(stored.again_ms, 1),
    )
    return row, missed


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


class _TimedDatabase(Database):
    """Notes for how long its one writer was held."""

    longest_seconds = 0.0

    @contextmanager
    def write(self) -> Iterator[Session]:
        started = time.perf_counter()
        with super().write() as db:
            yield db
        self.longest_seconds = max(self.longest_seconds, time.perf_counter() - started)


def _measure_database(driver: str, place: Path, written: Written) -> Stored:
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as home:
        settings = Settings(home=Path(home), database_url="")
        upgrade(settings.database)
        database = _TimedDatabase(settings.database)
        ctx = Context(settings, database, lambda *_: None)
        with database.write() as db:
            account = Account(name="bench", driver=driver, config_dir=str(place))
            db.add(account)
        account_id = account.id or 0
        database.longest_seconds = 0.0
        seconds = _timed(lambda: outside.import_logs(ctx, account_id))
        again = _timed(lambda: outside.import_logs(ctx, account_id))
        with database.read() as db:
            output = db.exec(select(func.sum(col(OutsideMinute.output_tokens)))).one() or 0
        database.close()
    missed = abs(output - written.output_tokens)
    return Stored(seconds, again * 1000, database.longest_seconds * 1000, missed)


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
