"""Claude Code's session logs: `projects/<directory>/<session>.jsonl` and their side files.

One answer of the model is written as one row for each of its content blocks, all with the same
`message.id` and `requestId`, and again wherever its conversation is copied to: the pair is the key.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from agents.meters.base import LineReader, Tokens, UsageRecord, utc

_NOTHING = msgspec.Raw()


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: Tokens | None = None
    ephemeral_1h_input_tokens: Tokens | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: Tokens | None = None


class _Usage(msgspec.Struct):
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cache_creation_input_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None


class _Message(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None


class _Row(msgspec.Struct, rename="camel"):
    type: str = ""
    timestamp: datetime | None = None
    session_id: str | None = None
    request_id: str | None = None
    is_sidechain: bool | None = None
    uuid: str | None = None
    cost: float | None = msgspec.field(default=None, name="costUSD")
    message: msgspec.Raw = _NOTHING  # decoded only where the type says what it is
    data: msgspec.Raw = _NOTHING


class _Progress(msgspec.Struct):
    """A sub-agent's row, wrapped into a row of the session that waits for it."""

    type: str = ""
    message: _Row | None = None


_decode_row = msgspec.json.Decoder(_Row).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_progress = msgspec.json.Decoder(_Progress).decode


class ClaudeLogs:
    """Finds and reads Claude Code's logs."""

    id = "claude_code"
    rooms: Sequence[str] = ("projects",)
    needles: Sequence[bytes] = (b'"usage"',)

    def find(self, config_dir: Path) -> list[Path]:
        """Every session file and those of its sub-agents."""
        return sorted((config_dir / "projects").rglob("*.jsonl"))

    def start(self, path: Path, state: bytes) -> LineReader:  # noqa: ARG002
        """Rows stand for themselves: there is no state."""
        return _Lines(path.stem)


class _Lines:
    def __init__(self, file_session: str) -> None:
        self._file_session = file_session

    def state(self) -> bytes:
        return b""

    def read(self, line: bytes) -> UsageRecord | None:
        row = _decode_row(line)
        if row.type == "assistant":
            return self._record(row, row, bool(row.is_sidechain))
        if row.type == "progress" and row.data:
            progress = _decode_progress(row.data)
            wrapped = progress.message
            if progress.type == "agent_progress" and wrapped and wrapped.type == "assistant":
                return self._record(wrapped, row, True)
        return None

    def _record(self, row: _Row, outer: _Row, is_secondary: bool) -> UsageRecord | None:
        message = _decode_message(row.message)
        usage = message.usage
        if usage is None:
            return None
        created = usage.cache_creation or _CacheCreation()
        hour = created.ephemeral_1h_input_tokens or 0
        write = usage.cache_creation_input_tokens
        if write is None:
            write = hour + (created.ephemeral_5m_input_tokens or 0)
        details = usage.output_tokens_details or _OutputDetails()
        session_id = row.session_id or outer.session_id or self._file_session
        at = utc(row.timestamp or outer.timestamp)
        key, aliases = _names(message.id, row.request_id)
        record = UsageRecord(
            at=at,
            model=message.model or "",
            session_id=session_id,
            key=key or f"claude:{row.uuid or f'{session_id}@{at.isoformat()}'}",
            aliases=aliases,
            is_secondary=is_secondary,
            output_tokens=usage.output_tokens or 0,
            input_tokens=usage.input_tokens or 0,
            cache_write_tokens=write,
            cache_read_tokens=usage.cache_read_input_tokens or 0,
            reasoning_tokens=details.thinking_tokens or 0,
            cache_write_hour_tokens=min(hour, write),
            cost_usd=row.cost,
        )
        # The program's own words (a limit, an interrupt) are rows too: they cost nothing.
        return record if record.total_tokens else None


def _names(message_id: str | None, request_id: str | None) -> tuple[str, tuple[str, ...]]:
    """Key and aliases; the message's id alone where the request's is not known."""
    if not message_id:
        return "", ()
    alone = f"claude:{message_id}"
    return (f"{alone}:{request_id}", (alone,)) if request_id else (alone, ())
