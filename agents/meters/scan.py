"""Reads what is new in a directory of logs: changed files only, from where they were left.

A file is read on where its cursor says if the bytes before that are still the same; if it was cut,
or another is in its place, it is read anew, and the ledger knows what was counted. A last line
without its end waits. Memory is bounded by a block and the longest line, whatever the file's size.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from agents.meters.base import Batch, Cursor, LineReader, LogReader, UsageRecord

BLOCK_BYTES = 4 * 2**20
MAX_LINE_BYTES = 32 * 2**20  # a longer line is skipped and counted as unreadable
TAIL_BYTES = 4096


def scan(config_dir: Path, reader: LogReader, cursors: Mapping[str, Cursor]) -> Iterator[Batch]:
    """New records of every changed file, with the cursor to store; cursors are keyed by path."""
    by_inode = {(cursor.device, cursor.inode): cursor for cursor in cursors.values()}
    for path in reader.find(config_dir):
        try:
            str(path).encode()  # a name that is no text can't be kept
            status = path.stat()
            if stat.S_ISFIFO(status.st_mode):
                continue  # a pipe would be waited for
            # A file that was moved, to an archive perhaps, is known by its inode.
            known = cursors.get(str(path)) or by_inode.get((status.st_dev, status.st_ino))
            if known is None or known.path != str(path) or _has_changed(known, status):
                yield from read_file(path, reader, known)
        except FileNotFoundError:
            continue  # the vendor's program cleans up behind us
        except (OSError, UnicodeEncodeError) as error:
            name = str(path).encode(errors="backslashreplace").decode()
            yield Batch(name, [], None, problem=str(error))


def read_file(path: Path, reader: LogReader, known: Cursor | None) -> Iterator[Batch]:
    """The file's new records in batches; at least one batch, so that its cursor is stored."""
    with path.open("rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        is_same = known is not None and _is_continued(file, status, known)
        if known is None or not is_same:
            offset, lines = 0, reader.start(path, b"")
        else:
            offset, lines = known.offset, reader.start(path, known.state)
        is_anew = known is not None and not is_same
        seen = -1
        for block, end, skipped in _blocks(file, offset):
            records, unreadable = _read_block(block, reader.needles, lines)
            cursor = _cursor(path, file, status, end, lines)
            is_first, seen = seen < 0, file.tell()
            yield Batch(
                str(path), records, cursor, unreadable + skipped, end - offset, is_anew and is_first
            )
            offset = end
        if seen != file.tell():  # nothing, or nothing but a line without its end
            cursor = _cursor(path, file, status, offset, lines)
            yield Batch(str(path), [], cursor, is_anew=is_anew and seen < 0)


def _has_changed(known: Cursor, status: os.stat_result) -> bool:
    seen = (known.device, known.inode, known.size, known.modified_ns)
    return seen != (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _is_continued(file: BinaryIO, status: os.stat_result, known: Cursor) -> bool:
    """Whether what was read of this file is still there, as far as its last bytes tell."""
    return (
        (known.device, known.inode) == (status.st_dev, status.st_ino)
        and known.offset <= status.st_size
        and known.tail == _tail(file, known.offset)
    )


def _cursor(
    path: Path, file: BinaryIO, status: os.stat_result, offset: int, lines: LineReader
) -> Cursor:
    return Cursor(
        path=str(path),
        device=status.st_dev,
        inode=status.st_ino,
        size=file.tell(),
        modified_ns=status.st_mtime_ns,
        offset=offset,
        tail=_tail(file, offset),
        state=lines.state(),
    )


def _tail(file: BinaryIO, offset: int) -> str:
    start = max(0, offset - TAIL_BYTES)
    data = os.pread(file.fileno(), offset - start, start)
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _blocks(file: BinaryIO, offset: int) -> Iterator[tuple[bytes, int, int]]:
    """Whole lines as (bytes, offset after them, lines skipped for their length)."""
    file.seek(offset)
    rest, is_skipping = b"", False
    while data := file.read(BLOCK_BYTES):
        cut = data.rfind(b"\n") + 1
        if not cut:
            rest = b"" if is_skipping else rest + data
            is_skipping = is_skipping or len(rest) > MAX_LINE_BYTES
            continue
        whole = data[data.find(b"\n") + 1 : cut] if is_skipping else rest + data[:cut]
        rest = data[cut:]
        yield whole, file.tell() - len(rest), int(is_skipping)
        is_skipping = False


def _read_block(
    block: bytes, needles: Sequence[bytes], lines: LineReader
) -> tuple[list[UsageRecord], int]:
    """Records, and how many lines looked like one and could not be read."""
    records: list[UsageRecord] = []
    unreadable = 0
    for line in _interesting(block, needles):
        try:
            record = lines.read(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            unreadable += 1
        else:
            if record is not None:
                records.append(record)
    return records, unreadable


def _interesting(block: bytes, needles: Sequence[bytes]) -> Iterator[bytes]:
    """The lines that hold a needle, in order. Others are not even split off: that is the speed."""
    found = {needle: block.find(needle) for needle in needles}
    while places := [place for place in found.values() if place >= 0]:
        first = min(places)
        start, end = block.rfind(b"\n", 0, first) + 1, block.find(b"\n", first)
        yield block[start:end]
        for needle, place in found.items():
            if 0 <= place < end:
                found[needle] = block.find(needle, end)
