"""Lines on disk: appended whole whatever the disk does, encoded whatever an event holds."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from agents.events import Notice, Record, encode
from agents.redact import Redactor

MAX_LINE_BYTES = 1_000_000
_BACKLOG_BYTES = 32_000_000  # kept in memory while the disk refuses
_BLOCK = 65_536

Write = Callable[[int, bytes], int]


class AppendFile:
    """Whole lines at the end of a file; `size` is always the end of a line that is on disk."""

    def __init__(self, path: Path, write: Write = os.write) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._write = write
        self._backlog = bytearray()
        self._torn = False
        self.size = _seal(self._fd)
        self.lost = 0  # lines refused because the backlog was full
        self.failing = False

    @property
    def end(self) -> int:
        """Where the next line will start, lines that still wait for the disk included."""
        return self.size + len(self._backlog)

    @property
    def waiting(self) -> bool:
        return bool(self._backlog)

    def add(self, line: bytes) -> bool:
        """Append one line, newline included; False where it could not even be remembered."""
        if len(self._backlog) + len(line) > _BACKLOG_BYTES and self._backlog:
            self.lost += 1
            return False
        self._backlog += line
        self.flush()
        return True

    def flush(self) -> bool:
        """Write what waits; False while the disk refuses. Never raises for the disk."""
        try:
            self._mend()
            while self._backlog:
                self._write_some()
        except OSError:
            self.failing = True
            self._truncate_torn()
            return False
        self.failing = False
        return True

    def _write_some(self) -> None:
        block = bytes(self._backlog)
        written = self._write(self._fd, block)
        whole = block.rfind(b"\n", 0, written) + 1
        self.size += whole
        del self._backlog[:whole]
        if written < len(block) and whole < written:
            self._torn = True
            self._mend()
        if not whole:
            raise OSError("the disk took no whole line")

    def _mend(self) -> None:
        if self._torn:
            os.ftruncate(self._fd, self.size)
            self._torn = False

    def _truncate_torn(self) -> None:
        try:
            self._mend()
        except OSError:
            return  # tried again before the next write; readers stop at the last newline

    def sync(self) -> bool:
        """fdatasync; False where the disk refused."""
        try:
            os.fdatasync(self._fd)
        except OSError:
            self.failing = True
            return False
        return True

    def close(self) -> None:
        self.flush()
        os.close(self._fd)


def line_of(record: Record, redactor: Redactor) -> bytes:
    """The masked journal line of a record, at most 1 MB: long strings are cut and say so."""
    line = redactor.mask(_encode(record))
    for limit in (200_000, 20_000, 1_000):
        if len(line) <= MAX_LINE_BYTES:
            return line
        line = msgspec.json.encode(_cut(msgspec.json.decode(line), limit)) + b"\n"
    if len(line) <= MAX_LINE_BYTES:
        return line
    note = Notice(f"An event of {len(line)} bytes was too long to keep here.", "warning")
    return encode(Record(record.seq, record.at, note, record.raw))


def _encode(record: Record) -> bytes:
    try:
        return encode(record)
    except (UnicodeEncodeError, TypeError, OverflowError, ValueError, RecursionError):
        # Lone surrogates and odd objects come from vendors' JSON; a journal takes them all.
        fields = {name: getattr(record.event, name) for name in record.event.__struct_fields__}
        event = _plain({"kind": record.event.__struct_config__.tag, **fields})
        raw = {} if record.raw is None else {"raw": record.raw}
        return (
            msgspec.json.encode({"seq": record.seq, "at": record.at, "event": event, **raw}) + b"\n"
        )


def _plain(value: object, depth: int = 0) -> object:
    """`value` as something every JSON encoder takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, dict) and depth < 50:
        return {str(_plain(str(k))): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and depth < 50:
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, msgspec.Struct) and depth < 50:
        return _plain(msgspec.to_builtins(value), depth + 1)
    return _plain(repr(value)[:1000], depth + 1)


def _cut(value: object, limit: int) -> object:
    if isinstance(value, str) and len(value) > limit:
        left_out = len(value) - limit
        return f"{value[:limit]}… [{left_out} characters cut; vendor.ndjson has them]"
    if isinstance(value, dict):
        return {key: _cut(item, limit) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, limit) for item in value]
    return value


def _seal(fd: int) -> int:
    """Cut what follows the last newline; returns the size then."""
    end = size = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(fd, end)
    return end
