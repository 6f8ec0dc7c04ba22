"""What a check prints, as it prints it: read from its log by offset, for pages and programs."""

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from app.models import Check
from app.services.context import Context
from app.store import checks

CHUNK_BYTES = 64_000
ROOM_BYTES = 1_000_000_000  # of all logs together
_LONGEST_CHARACTER = 4  # bytes of UTF-8


class Tail(NamedTuple):
    """The next piece of a log. `is_over`: the check has ended and no more follows."""

    text: str
    next_offset: int
    is_over: bool


def tail(ctx: Context, check_id: int, offset: int) -> Tail:
    """What a check, or the run whose answer it shares, printed from a byte on, or from the last
    -`offset` bytes on; 64 KB at most. NotFound."""
    with ctx.db.read() as db:
        check = checks.existing(db, check_id)
        run = checks.existing(db, check.same_as_id) if check.same_as_id is not None else check
    has_ended = run.state not in checks.IN_FLIGHT  # asked before reading: what follows is the end
    try:
        with log_path(ctx, run).open("rb") as file:
            piece, start, size = _read(file, offset)
    except FileNotFoundError:  # it did not begin, or its log was pruned
        piece, start, size = _read(io.BytesIO(run.output_tail.encode()), offset)
    piece = piece if has_ended and start + len(piece) >= size else _whole_characters(piece)
    at = start + len(piece)
    text = piece.decode("utf-8", "replace").replace("\0", "\ufffd")
    return Tail(text, at, has_ended and at >= size)


def log_path(ctx: Context, run: Check) -> Path:
    """Where a run's output goes."""
    return ctx.home.checks() / f"{run.id}.log"


def prune(ctx: Context) -> None:
    """Delete the oldest logs beyond the room for all; the end of each stays in the database."""
    found = []
    for path in ctx.home.checks().glob("*.log"):
        with suppress(FileNotFoundError):  # another thread prunes too
            found.append((path.stat().st_mtime, path.stat().st_size, path))
    room = ROOM_BYTES
    for _, size, path in sorted(found, reverse=True):
        room -= size
        if room < 0 and not path.with_suffix("").exists():  # the place of one that still runs
            path.unlink(missing_ok=True)


def _read(file: IO[bytes], offset: int) -> tuple[bytes, int, int]:
    """(bytes, where they begin, size of the file)."""
    size = file.seek(0, os.SEEK_END)
    start = min(size, offset) if offset >= 0 else max(0, size + offset)
    file.seek(start)
    return file.read(min(CHUNK_BYTES, size - start)), start, size


def _whole_characters(piece: bytes) -> bytes:
    """Without the beginning of a character whose rest is not there yet."""
    for back in range(1, min(_LONGEST_CHARACTER, len(piece)) + 1):
        byte = piece[-back]
        if byte & 0xC0 != 0x80:  # the first byte of a character says how long it is
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return piece[:-back] if length > back else piece
    return piece
