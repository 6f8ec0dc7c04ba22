"""The journal: one record a line, appended by one runner, read by anyone without asking it.

What the disk does decides nothing here: a torn last line is sealed when the file is opened, a
full disk is remembered and retried, and the file ends with a whole line at every moment.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import msgspec

from agents.events import (
    Event,
    Notice,
    Record,
    Text,
    Thinking,
    ToolOutput,
    UserMessage,
    decode,
    utc_now,
)
from agents.lines import MAX_LINE_BYTES, AppendFile, Write, line_of
from agents.redact import Redactor

COALESCE_SECONDS = 0.1
HELD_SECONDS = 2.0  # how long the beginning of a possible secret waits for its end
RETRY_SECONDS = 1.0  # between tries while the disk refuses
_MAX_PIECE_CHARACTERS = 64_000
_BLOCK = 65_536

Stream = Text | Thinking | ToolOutput


class _Piece:
    """Pieces of one stream that wait to become one line."""

    def __init__(self, event: Stream, raw: int | None, seq: int) -> None:
        self.key, self.kind = _key(event), type(event)
        self.parts, self.raw, self.seq = [event.text], raw, seq
        self.characters, self.since = len(event.text), time.monotonic()
        self.final = not isinstance(event, ToolOutput) and event.final
        self.held = False  # what is here is only the beginning of a possible secret

    @property
    def due_at(self) -> float:
        return self.since + (HELD_SECONDS if self.held else COALESCE_SECONDS)

    def join(self, event: Stream) -> None:
        if self.held:
            self.held, self.since = False, time.monotonic()
        self.parts.append(event.text)
        self.characters += len(event.text)
        self.final = self.final or (not isinstance(event, ToolOutput) and event.final)

    def event(self, text: str) -> Event:
        if self.kind is ToolOutput:
            return ToolOutput(self.key[1], text)
        if self.kind is Thinking:
            return Thinking(self.key[1], text, final=self.final)
        return Text(self.key[1], text, final=self.final)


class JournalWriter:
    """The one writer of a journal: numbers, dates, masks, joins pieces and appends events."""

    def __init__(
        self, path: Path, redactor: Redactor | None = None, write: Write = os.write
    ) -> None:
        self._file = AppendFile(path, write)
        self._redactor = redactor or Redactor()
        self._piece: _Piece | None = None
        self.seq = last_seq(path)

    @property
    def size(self) -> int:
        """Bytes of whole lines on disk."""
        return self._file.size

    @property
    def due_seconds(self) -> float | None:
        """In how many seconds `flush` should be called, None while nothing waits."""
        if self._piece is not None:
            return max(0.0, self._piece.due_at - time.monotonic())
        return RETRY_SECONDS if self._file.waiting else None

    def append(self, event: Event, raw: int | None = None) -> int:
        """Take an event; returns its number. Pieces of one stream share number and line."""
        was_failing = self._file.failing
        seq = self._take(event, raw)
        self._tell_recovery(was_failing)
        return seq

    def flush(self, everything: bool = False) -> bool:
        """Write what is due, or everything; False while the disk refuses (nothing is lost)."""
        was_failing = self._file.failing
        if everything:
            self._close_piece()
        elif self._piece is not None and time.monotonic() >= self._piece.due_at - 0.001:
            self._shorten_piece(self._piece)
        taken = self._file.flush()
        self._tell_recovery(was_failing)
        return taken

    def sync(self) -> bool:
        """Make everything written so far survive a power cut; False where the disk refused."""
        return self._file.sync()

    def close(self) -> None:
        self.flush(everything=True)
        self._file.close()

    def _take(self, event: Event, raw: int | None) -> int:
        if not isinstance(event, (Text, Thinking, ToolOutput)):
            self._close_piece()
            seq = self._next()
            self._line(Record(seq, utc_now(), event, raw))
            return seq
        if self._piece is not None and self._piece.key == _key(event):
            self._piece.join(event)
        else:
            self._close_piece()
            self._piece = _Piece(event, raw, self._next())
        piece, seq = self._piece, self._piece.seq
        if piece.final:
            self._close_piece()
        elif piece.characters >= _MAX_PIECE_CHARACTERS or time.monotonic() >= piece.due_at:
            self._shorten_piece(piece)
        return seq

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def _close_piece(self) -> None:
        if (piece := self._piece) is not None:
            self._piece = None
            event = piece.event("".join(piece.parts))
            self._line(Record(piece.seq, utc_now(), event, piece.raw))

    def _shorten_piece(self, piece: _Piece) -> None:
        """Write a piece up to where a secret may just begin; the rest waits for what follows."""
        text = "".join(piece.parts)
        held = 0 if piece.held else self._redactor.held(text)
        if not held:
            return self._close_piece()
        if held < len(text):
            event = piece.event(text[:-held])
            self._line(Record(piece.seq, utc_now(), event, piece.raw))
            piece.seq = self._next()
        piece.parts, piece.characters = [text[-held:]], held
        piece.held, piece.since = True, time.monotonic()
        return None

    def _line(self, record: Record) -> None:
        self._file.add(line_of(record, self._redactor))

    def _tell_recovery(self, was_failing: bool) -> None:
        if was_failing and not self._file.failing:
            self._close_piece()  # it has the lower number
            lost, self._file.lost = self._file.lost, 0
            said = f"{lost} records were not kept" if lost else "no record was lost"
            note = Notice(f"The disk refused writes for a time; {said}.", "warning")
            self._line(Record(self._next(), utc_now(), note))


def _key(event: Stream) -> tuple[str, str]:
    name = event.call_id if isinstance(event, ToolOutput) else event.message_id
    return type(event).__name__, name


# --- reading: pure functions of a path, no state -----------------------------------------------

Line = tuple[int, Record | None, bytes]  # offset after it, record (None: undecodable), the bytes


def read_after(path: Path, offset: int, max_bytes: int = 1_000_000) -> tuple[list[Line], int]:
    """The whole lines after `offset` (about `max_bytes` of them), and the offset to go on from.

    A torn last line waits for its end. A returned offset below `offset` says that the file was
    cut (power loss); a missing file reads as empty.
    """
    with _opened(path) as fd:
        size = os.fstat(fd).st_size if fd is not None else 0
        if fd is None or offset >= size:
            return [], min(offset, size)
        chunk = _whole_lines(fd, offset, max_bytes)
    lines: list[Line] = []
    for line in _split(chunk):
        offset += len(line)
        lines.append((offset, _decoded(line), line))
    return lines, offset


def records_from(path: Path, offset: int, count: int) -> list[Record]:
    """Up to `count` records from a line's start at `offset` on; undecodable lines left out."""
    records: list[Record] = []
    while len(records) < count:
        lines, offset = read_after(path, offset, 4 * _BLOCK)
        if not lines:
            break
        records += [record for _, record, _ in lines if record is not None]
    return records[:count]


def lines_before(path: Path, count: int, before: int | None = None) -> list[tuple[int, bytes]]:
    """The last `count` whole lines that end at or before `before`, each with its own offset."""
    with _opened(path) as fd:
        if fd is None or count <= 0:
            return []
        size = os.fstat(fd).st_size
        start = size if before is None else min(before, size)
        chunk = b""
        # One newline more than lines wanted: the one that ends the line before the first.
        while start > 0 and chunk.count(b"\n") <= count:
            step = min(start, max(_BLOCK, len(chunk)))
            start -= step
            chunk = os.pread(fd, step, start) + chunk
    lines = _split(chunk)
    if start > 0 and lines:
        start += len(lines.pop(0))  # its beginning lies before what was read
    offsets = accumulate(map(len, lines), initial=start)
    return list(zip(offsets, lines, strict=False))[-count:]


def tail(path: Path, count: int, before: int | None = None) -> list[Record]:
    """The last `count` records, or those before a line's offset; undecodable lines left out."""
    lines = lines_before(path, count, before)
    return [record for _, line in lines if (record := _decoded(line)) is not None]


def last_seq(path: Path) -> int:
    """The number of the last good record, 0 where there is none."""
    before: int | None = None
    while lines := lines_before(path, 100, before):
        for _, line in reversed(lines):
            if (record := _decoded(line)) is not None:
                return record.seq
        before = lines[0][0]
    return 0


def messages_said(path: Path) -> set[str]:
    """The ids of every message the journal holds; it is read in steps of 4 MB."""
    said: set[str] = set()
    lines, offset = read_after(path, 0, 4_000_000)
    while lines:
        events = (record.event for _, record, _ in lines if record is not None)
        said |= {event.message_id for event in events if isinstance(event, UserMessage)}
        lines, offset = read_after(path, offset, 4_000_000)
    return said


def sync(path: Path) -> int:
    """Make a journal durable from any process; returns the size up to which it now is."""
    with _opened(path) as fd:
        if fd is None:
            return 0
        size = os.fstat(fd).st_size
        os.fdatasync(fd)
        return size


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _whole_lines(fd: int, offset: int, max_bytes: int) -> bytes:
    chunk = os.pread(fd, max_bytes, offset)
    while b"\n" not in chunk:  # one line longer than asked for: go on to its end
        more = os.pread(fd, MAX_LINE_BYTES, offset + len(chunk))
        if not more:
            return b""
        chunk += more
    return chunk[: chunk.rfind(b"\n") + 1]


def _split(chunk: bytes) -> list[bytes]:
    return [line + b"\n" for line in chunk.split(b"\n")[:-1]]


def _decoded(line: bytes) -> Record | None:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
