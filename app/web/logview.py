"""A session's records as HTML: the one place where an agent's output is prepared for the page.

Each record becomes at most one element with its sequence number. Inside one chunk the pieces of
one message are joined, a tool's output lies in its call's fold, and an answer in its question;
what belongs to a chunk before comes out as a *late* piece that static/log.js puts in place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agents import events as ev
from agents.events import Record
from app.web.render import fragment

CHUNK_RECORDS = 100
PIECE_CHARS = 20_000  # of one record; the journal keeps the rest
SHOWN_QUOTA = ("warning", "rejected")


@dataclass
class Block:
    """One thing to see. `kind` picks the macro, `pieces` are what is joined into it."""

    kind: str
    seq: int
    event: Any
    at: Any
    key: str = ""
    pieces: list["Piece"] = field(default_factory=list)
    end: Any = None  # the ToolResult or PermissionResolved, once it is there


@dataclass(frozen=True)
class Piece:
    seq: int
    text: str
    cut: int = 0  # characters left out


def chunks(records: Sequence[Record], session_id: str) -> str:
    """HTML of some records in order, in sections of a hundred."""
    return fragment("log/chunks.html", chunks=sections(records), session_id=session_id)


def sections(records: Sequence[Record]) -> list[tuple[int, int, list[Block]]]:
    """(first seq, last seq, what is seen) of each hundred records."""
    parts = [
        records[start : start + CHUNK_RECORDS] for start in range(0, len(records), CHUNK_RECORDS)
    ]
    return [(part[0].seq, part[-1].seq, blocks(part)) for part in parts]


def frame(records: Sequence[Record], session_id: str) -> str:
    """The socket's JSON for some records: {first, last, html, at_ms}."""
    html = fragment("log/blocks.html", blocks=blocks(records), session_id=session_id)
    data = {
        "first": records[0].seq,
        "last": records[-1].seq,
        "html": html,
        "at_ms": int(records[-1].at.timestamp() * 1000),
    }
    return msgspec.json.encode(data).decode()


def blocks(records: Iterable[Record]) -> list[Block]:
    """What is seen of these records, joined as far as they reach."""
    joined = _Joiner()
    for record in records:
        joined.add(record)
    return joined.blocks


class _Joiner:
    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._calls: dict[str, Block] = {}
        self._asks: dict[str, Block] = {}

    def add(self, record: Record) -> None:
        event = record.event
        match event:
            case ev.Text() | ev.Thinking():
                self._speak(record, event)
            case ev.ToolCall():
                self._calls[event.call_id] = self._open("call", record, event.call_id)
            case ev.ToolOutput():
                block = self._calls.get(event.call_id) or self._open("late", record, event.call_id)
                block.pieces.append(piece(record.seq, event.text))
            case ev.ToolResult():
                self._end_call(record, event)
            case ev.PermissionRequested():
                self._asks[event.request_id] = self._open("ask", record, event.request_id)
            case ev.PermissionResolved():
                block = self._asks.get(event.request_id) or self._open(
                    "answer", record, event.request_id
                )
                block.end = event
            case ev.TurnStarted() | ev.Usage():
                return
            case ev.Quota() if event.status not in SHOWN_QUOTA:
                return
            case ev.UserMessage() | ev.Unparsed() | ev.Notice():
                self._open(_kind(event), record).pieces.append(piece(record.seq, event.text))
            case _:
                self._open(_kind(event), record)

    def _open(self, kind: str, record: Record, key: str = "") -> Block:
        block = Block(kind, record.seq, record.event, record.at, key)
        self.blocks.append(block)
        return block

    def _speak(self, record: Record, event: ev.Text | ev.Thinking) -> None:
        if not event.text:
            return
        kind = _kind(event)
        last = self.blocks[-1] if self.blocks else None
        if last is None or (last.kind, last.key) != (kind, event.message_id):
            last = self._open(kind, record, event.message_id)
        last.pieces.append(piece(record.seq, event.text))

    def _end_call(self, record: Record, event: ev.ToolResult) -> None:
        block = self._calls.get(event.call_id) or self._open("late", record, event.call_id)
        block.end = event
        if event.output:
            block.pieces.append(piece(record.seq, event.output))


def _kind(event: ev.Event) -> str:
    return str(event.__struct_config__.tag)


def piece(seq: int, text: str) -> Piece:
    """A record's text, cut where it is too long to be read."""
    if len(text) <= PIECE_CHARS:
        return Piece(seq, text)
    return Piece(seq, text[:PIECE_CHARS], len(text) - PIECE_CHARS)
