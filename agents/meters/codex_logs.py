"""Codex's rollouts: `sessions/YYYY/MM/DD/rollout-<time>-<thread>.jsonl` and `archived_sessions/`.

A `token_count` has the thread's running total and the last call's tokens. It is repeated whenever
a limit is reported, so only a changed total is a call. A forked thread or a sub-agent may begin
with a copy of its parent's lines, their times kept or not: a copied call is known by the parent's
id and its two sets of counters, so those make the key, and the ancestors' keys are its aliases.
Newer versions copy nothing: a fork's total goes on from its parent's, as its ordinals do.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from agents.meters.base import LineReader, Tokens, UsageRecord, utc

_UUID_LENGTH = 36


class _Counters(msgspec.Struct, frozen=True):
    input_tokens: Tokens = 0  # the whole input, cached and written included
    cached_input_tokens: Tokens = 0
    cache_write_input_tokens: Tokens = 0
    output_tokens: Tokens = 0  # reasoning included
    reasoning_output_tokens: Tokens = 0

    def since(self, earlier: "_Counters | None") -> "_Counters":
        """The difference; all of it where the count began anew."""
        if earlier is None:
            return self
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(earlier), strict=True)
        differences = [now - before for now, before in pairs]
        return self if min(differences) < 0 else _Counters(*differences)

    def __str__(self) -> str:
        return ".".join(str(value) for value in msgspec.structs.astuple(self))


class _Info(msgspec.Struct):
    total_token_usage: _Counters | None = None
    last_token_usage: _Counters | None = None


class _Event(msgspec.Struct):
    type: str = ""
    info: msgspec.Raw = msgspec.Raw()


class _Context(msgspec.Struct):
    model: str | None = None


class _Meta(msgspec.Struct):
    id: str | None = None
    forked_from_id: str | None = None
    forked_from_ordinal_exclusive: int | None = (
        None  # given where the parent's lines are not copied
    )
    parent_thread_id: str | None = None
    source: object = None


class _Line(msgspec.Struct):
    type: str = ""
    timestamp: datetime | None = None
    ordinal: int | None = None
    payload: msgspec.Raw = msgspec.Raw()


class _State(msgspec.Struct):
    """What lines need of those before them."""

    thread: str = ""
    is_named: bool = False  # the thread's own meta line was read, which is the file's first
    ancestors: list[str] = []
    spawned_by: str = ""
    own_from: int | None = None  # a line of this ordinal or a later one is no copy
    model: str = ""
    total: _Counters | None = None


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_info = msgspec.json.Decoder(_Info | None).decode
_decode_context = msgspec.json.Decoder(_Context).decode
_decode_meta = msgspec.json.Decoder(_Meta).decode
_decode_state = msgspec.json.Decoder(_State).decode


class CodexLogs:
    """Finds and reads Codex's rollouts."""

    id = "codex"
    rooms: Sequence[str] = ("archived_sessions", "sessions")  # the latter wins
    needles: Sequence[bytes] = (b'"token_count"', b'"turn_context"', b'"session_meta"')

    def find(self, config_dir: Path) -> list[Path]:
        """Every rollout, oldest first; an archived copy of one that is still there is left out."""
        found: dict[str, Path] = {}
        for room in self.rooms:
            found |= {path.name: path for path in (config_dir / room).rglob("rollout-*.jsonl")}
        return [found[name] for name in sorted(found)]

    def start(self, path: Path, state: bytes) -> LineReader:
        """From the beginning the thread's id is the one in the file's name, till a line says it."""
        return _Lines(_decode_state(state) if state else _State(path.stem[-_UUID_LENGTH:]))


class _Lines:
    def __init__(self, state: _State) -> None:
        self._state = state

    def state(self) -> bytes:
        return msgspec.json.encode(self._state)

    def read(self, line: bytes) -> UsageRecord | None:
        row = _decode_line(line)
        if row.type == "event_msg":
            event = _decode_event(row.payload)
            info = _decode_info(event.info) if event.type == "token_count" and event.info else None
            return self._record(row, info) if info else None
        if row.type == "turn_context":
            self._state.model = _decode_context(row.payload).model or self._state.model
        elif row.type == "session_meta":
            self._name(_decode_meta(row.payload))
        return None

    def _name(self, meta: _Meta) -> None:
        """The first meta is the thread's own; later ones were copied with an ancestor's lines."""
        state = self._state
        if not state.is_named:
            state.thread, state.is_named = meta.id or state.thread, True
            state.own_from = meta.forked_from_ordinal_exclusive
            state.spawned_by = meta.parent_thread_id or _spawner(meta.source) or ""
            names = [meta.forked_from_id, state.spawned_by]
        else:
            names = [meta.id, meta.forked_from_id]
        for name in names:
            if name and name != state.thread and name not in state.ancestors:
                state.ancestors.append(name)

    def _record(self, row: _Line, info: _Info) -> UsageRecord | None:
        state, total = self._state, info.total_token_usage
        if total is not None and total == state.total:
            return None
        used = info.last_token_usage or (total.since(state.total) if total else None)
        at = utc(row.timestamp)
        state.total = total or state.total
        if used is None:
            return None
        # Without a total nothing but the time tells two equal calls apart.
        counters = f"{total or at.isoformat()}/{used}"
        own_from, ordinal = state.own_from, row.ordinal
        is_own = own_from is not None and ordinal is not None and ordinal >= own_from
        ancestors = [] if is_own else state.ancestors
        cached = min(used.cached_input_tokens, used.input_tokens)
        written = min(used.cache_write_input_tokens, used.input_tokens - cached)
        record = UsageRecord(
            at=at,
            model=state.model,
            session_id=state.thread,
            key=f"codex:{state.thread}:{counters}",
            aliases=tuple(f"codex:{name}:{counters}" for name in ancestors),
            is_secondary=bool(ancestors),
            output_tokens=used.output_tokens,
            input_tokens=used.input_tokens - cached - written,
            cache_write_tokens=written,
            cache_read_tokens=cached,
            reasoning_tokens=min(used.reasoning_output_tokens, used.output_tokens),
            spawned_by=state.spawned_by,
        )
        return record if record.total_tokens else None


def _spawner(source: object) -> str | None:
    """The parent that a sub-agent's `source` names: `{"subagent":{"thread_spawn":{...}}}`."""
    for name in ("subagent", "thread_spawn", "parent_thread_id"):
        source = source.get(name) if isinstance(source, dict) else None
    return source if isinstance(source, str) else None
