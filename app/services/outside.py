"""Use outside of our sessions, from the logs that the vendors' programs leave; counted once.

A file's cursor and the tokens up to it are stored in one transaction, so an import can be killed
anywhere and goes on where it was. What is one call is decided by `agents.meters.ledger`.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlmodel import Session as Orm

from agents.meters.base import Batch, Cursor, LogReader, UsageRecord
from agents.meters.ledger import Page, names
from agents.meters.readers import READERS
from agents.meters.scan import scan
from app.errors import Conflict
from app.models import Account
from app.models.base import unix_minute
from app.services import logins
from app.services.context import Context
from app.store import accounts, outside
from app.store.outside import Known

RECORDS_AT_ONCE = 300  # in one transaction: the one writer is held for some milliseconds
_FILES_AT_ONCE = 200
_LATE_CALLS = 2000  # of the newest, that are looked at again: whose they are may be known late
_MODEL_CHARS = 100

_one_importer = threading.Lock()
_LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Place:
    """Where an account's logs are, and what reads them; `problem` says why there are none."""

    account: Account
    directory: Path | None = None
    reader: LogReader | None = None
    problem: str = ""


@dataclass
class Imported:
    """What one import did."""

    account: str
    directory: str = ""
    is_finished: bool = True  # False: it was told to stop; the next goes on there
    files: int = 0
    records: int = 0
    new_calls: int = 0
    bytes_read: int = 0
    unreadable_lines: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class _Group:
    """What goes into one transaction: some records, and how far these brought their files."""

    records: list[UsageRecord] = field(default_factory=list)
    cursors: dict[str, Cursor] = field(default_factory=dict)


def places(ctx: Context) -> list[Place]:
    """Where the accounts' logs are. A directory that two of them share is the first one's."""
    with ctx.db.read() as db:
        every = sorted(accounts.every(db), key=lambda account: account.id or 0)
    found: list[Place] = []
    owners: dict[Path, str] = {}
    for account in every:
        directory, reader = _directory(account), READERS.get(account.driver)
        if directory is None or reader is None:
            continue
        rooms = [(directory / room).resolve() for room in reader.rooms]
        owner = next((owners[room] for room in rooms if room in owners), None)
        if owner is not None:
            why = f"{directory} holds the logs of account {owner!r}; there they count."
            found.append(Place(account, problem=why))
            continue
        owners |= dict.fromkeys(rooms, account.name)
        found.append(Place(account, directory, reader))
    return found


def import_logs(ctx: Context, account_id: int, *, seconds: float | None = None) -> Imported:
    """Count what is new in an account's logs; stops after so many seconds, and can go on."""
    place = next((place for place in places(ctx) if place.account.id == account_id), None)
    if place is None or place.directory is None or place.reader is None:
        problem = place.problem if place else "Its driver leaves no logs, or not on this machine."
        return Imported(str(account_id), problems=[problem])
    done = Imported(place.account.name, str(place.directory))
    if not place.directory.is_dir():
        done.problems.append(f"{place.directory} does not exist (yet).")
        return done
    if not _one_importer.acquire(timeout=_LOCK_SECONDS):
        raise Conflict("Logs are being imported already; try again in a moment.")
    try:
        _import(ctx, account_id, place.directory, place.reader, seconds, done)
    finally:
        _one_importer.release()
    return done


def _import(
    ctx: Context,
    account_id: int,
    directory: Path,
    reader: LogReader,
    seconds: float | None,
    done: Imported,
) -> None:
    deadline = time.monotonic() + seconds if seconds is not None else None
    _recognise(ctx, account_id)
    with ctx.db.read() as db:
        known = outside.cursors(db, account_id)
    for group in _groups(scan(directory, reader, known), done):
        done.new_calls += store(ctx, account_id, group.records, group.cursors)
        has_moved = bool(group.cursors)  # else the next import would begin where this one did
        if has_moved and deadline is not None and time.monotonic() > deadline:
            done.is_finished = False
            return
    gone = [path for path in known if not Path(path).exists()]
    if gone:
        with ctx.db.write() as db:
            outside.forget_cursors(db, account_id, gone)


def _groups(batches: Iterable[Batch], done: Imported) -> Iterator[_Group]:
    group = _Group()
    for batch in batches:
        for record in batch.records:
            group.records.append(record)
            if len(group.records) == RECORDS_AT_ONCE:
                yield group
                group = _Group()
        if batch.cursor is not None:
            done.files += batch.path not in group.cursors
            group.cursors[batch.path] = batch.cursor
        if batch.problem:
            done.problems.append(f"{batch.path}: {batch.problem}")
        done.records += len(batch.records)
        done.bytes_read += batch.bytes_read
        done.unreadable_lines += batch.unreadable_lines
        if len(group.cursors) >= _FILES_AT_ONCE:
            yield group
            group = _Group()
    if group.records or group.cursors:
        yield group


def store(
    ctx: Context, account_id: int, records: list[UsageRecord], cursors: dict[str, Cursor]
) -> int:
    """Add records to the account's ledger and move the cursors, both or none; new calls.

    Everything is read before the transaction: nobody else writes these tables.
    """
    kept = {name: outside.name_of(name) for record in records for name in names(record)}
    with ctx.db.read() as db:
        numbers = outside.calls_of(db, account_id, kept.values())
        before = outside.calls(db, set(numbers.values()))
        first = outside.next_number(db)
        page = Page(
            {number: call.record for number, call in before.items()},
            {name: numbers[short] for name, short in kept.items() if short in numbers},
            first,
        )
        page.add(records)
        changed = {
            number: record
            for number, record in page.calls.items()
            if number not in before or before[number].record is not record
        }
        ours, adopted = _ours(db, changed.values())
    after = {n: Known(record, record.session_id in ours) for n, record in changed.items()}
    with ctx.db.write() as db:
        outside.adopt_conversations(db, adopted)
        outside.add_calls(db, account_id, {n: call for n, call in after.items() if n >= first})
        outside.change_calls(db, {n: call for n, call in after.items() if n < first})
        new = {kept[name]: number for name, number in page.places.items()}
        outside.add_names(db, account_id, {n: k for n, k in new.items() if n not in numbers})
        outside.add_to_minutes(db, account_id, _sums(before, after))
        outside.store_cursors(db, account_id, cursors)
    return page.next_number - first


def _ours(db: Orm, records: Iterable[UsageRecord]) -> tuple[set[str], dict[str, str]]:
    """Which of the records' conversations are ours; those that are new (with our session's id).

    What an agent of ours spawned is ours: its driver counts its sub-agents' tokens.
    """
    told = {record.session_id: record.spawned_by for record in records}
    asked = {*told, *told.values()} - {""}
    known = outside.our_conversations(db, [name for name in asked if "\0" not in name])
    adopted = {
        name: known[parent]
        for name, parent in told.items()
        if parent in known and name not in known and "\0" not in name
    }
    return {*known, *adopted}, adopted


def _sums(before: dict[int, Known], after: dict[int, Known]) -> dict[tuple[str, int], list[int]]:
    """What the changed calls add to each model and minute; ours add nothing."""
    sums: dict[tuple[str, int], list[int]] = {}
    for number, call in after.items():
        _add(sums, call, 1)
        if number in before:
            _add(sums, before[number], -1)
    return sums


def _add(sums: dict[tuple[str, int], list[int]], call: Known, sign: int) -> None:
    if call.is_ours:
        return
    record = call.record
    model = record.model[:_MODEL_CHARS].replace("\0", "")
    counters = sums.setdefault((model, unix_minute(record.at)), [0, 0, 0, 0])
    for place, tokens in enumerate(
        (
            record.output_tokens,
            record.input_tokens,
            record.cache_write_tokens,
            record.cache_read_tokens,
        )
    ):
        counters[place] += sign * tokens


def _recognise(ctx: Context, account_id: int) -> None:
    """A session of ours whose log was read before its journal told its name: take it back."""
    with ctx.db.read() as db:
        strangers = outside.latest_strangers(db, account_id, _LATE_CALLS)
        ours, adopted = _ours(db, [call.record for call in strangers.values()])
    late = {n: call for n, call in strangers.items() if call.record.session_id in ours}
    if late:
        known = {number: Known(call.record, is_ours=True) for number, call in late.items()}
        with ctx.db.write() as db:
            outside.adopt_conversations(db, adopted)
            outside.change_calls(db, known)
            outside.add_to_minutes(db, account_id, _sums(late, known))


def _directory(account: Account) -> Path | None:
    """The account's own, or the human's where the account is the human's own login."""
    if account.config_dir:
        return Path(account.config_dir)
    if account.base_url or account.is_rehearsal:
        return None
    return logins.directory_of(account)
