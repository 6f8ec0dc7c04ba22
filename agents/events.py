"""The one event union that every driver speaks, and the journal record that carries it.

A driver turns vendor output into these; the runner numbers and dates them; everything above
reads them only. A token counter here is a *difference* (add them up), never a running total.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec

ErrorKind = Literal[
    "limit",  # a quota window is used up: wait for the reset, the work is not lost
    "throttle",  # requests per minute: back off in place
    "overloaded",  # the vendor's servers, not us
    "auth",  # login or key refused, or no login
    "billing",  # credit used up or payment refused
    "context",  # the conversation no longer fits the model
    "invalid",  # the vendor refused the request: model unknown, bad argument
    "network",  # the vendor could not be reached, or the stream broke
    "crashed",  # the vendor's process died or stopped speaking its protocol
]
RETRYABLE: frozenset[str] = frozenset({"limit", "throttle", "overloaded", "network", "crashed"})
ToolKind = Literal["execute", "edit", "read", "search", "fetch", "other"]
Decision = Literal["allow", "allow_always", "deny"]
Outcome = Literal["completed", "interrupted", "failed", "limited"]


class _Event(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    pass


class SessionStarted(_Event, frozen=True, tag="session_started"):
    """The vendor's process is ready. `conversation_id` is what resume needs."""

    conversation_id: str
    model: str = ""
    driver: str = ""
    version: str = ""
    pid: int = 0
    resumed: bool = False


class TurnStarted(_Event, frozen=True, tag="turn_started"):
    turn_id: str


class UserMessage(_Event, frozen=True, tag="user_message"):
    """A prompt as the agent received it. `origin` says who wrote it."""

    message_id: str
    text: str
    origin: Literal["task", "human", "review", "system"] = "human"
    steered: bool = False


class Text(_Event, frozen=True, tag="text"):
    """A piece of the agent's answer; pieces of one `message_id` concatenate to the whole."""

    message_id: str
    text: str
    final: bool = False


class Thinking(_Event, frozen=True, tag="thinking"):
    message_id: str
    text: str
    final: bool = False


class ToolCall(_Event, frozen=True, tag="tool_call"):
    call_id: str
    name: str
    tool: ToolKind
    title: str  # one line a human reads: the command, the path
    input: dict[str, object] = {}


class ToolOutput(_Event, frozen=True, tag="tool_output"):
    """A piece of a running tool's output."""

    call_id: str
    text: str


class ToolResult(_Event, frozen=True, tag="tool_result"):
    """The end of a tool call. `output` is "" where ToolOutput pieces already carried it."""

    call_id: str
    output: str = ""
    is_error: bool = False
    exit_code: int | None = None


class PermissionRequested(_Event, frozen=True, tag="permission_requested"):
    request_id: str
    tool: ToolKind
    name: str
    title: str
    input: dict[str, object] = {}
    call_id: str = ""
    reason: str = ""


class PermissionResolved(_Event, frozen=True, tag="permission_resolved"):
    request_id: str
    decision: Decision
    message: str = ""


class Usage(_Event, frozen=True, tag="usage"):
    """Tokens of one model call, counted once. The four counters do not overlap."""

    model: str
    output_tokens: int = 0
    input_tokens: int = 0  # fresh: neither written to nor read from a cache
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0  # part of output_tokens
    cost_usd: float | None = None  # the vendor's own figure, where it gives one


class QuotaWindow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One meter reading. A window that was not reported is absent, never 0 %."""

    kind: str  # five_hour, seven_day, requests_per_minute ...
    used_percent: float
    window_minutes: int | None = None
    resets_at: datetime | None = None


class Quota(_Event, frozen=True, tag="quota"):
    windows: list[QuotaWindow]
    status: Literal["allowed", "warning", "rejected"] = "allowed"
    source: str = ""


class Retrying(_Event, frozen=True, tag="retrying"):
    """The vendor's client backs off by itself; nothing is lost yet."""

    error: ErrorKind
    message: str
    attempt: int = 0
    max_attempts: int = 0
    delay_seconds: float = 0.0


class Failed(_Event, frozen=True, tag="failed"):
    """Something went wrong for good in this turn, or with the process (`error="crashed"`)."""

    error: ErrorKind
    message: str
    resets_at: datetime | None = None

    @property
    def retryable(self) -> bool:
        return self.error in RETRYABLE


class TurnEnded(_Event, frozen=True, tag="turn_ended"):
    turn_id: str
    outcome: Outcome
    summary: str = ""  # the agent's last words of the turn
    error: ErrorKind | None = None
    resets_at: datetime | None = None  # with outcome "limited", where the vendor says it


class Notice(_Event, frozen=True, tag="notice"):
    """For the human: a warning of the vendor's client, its stderr, a line we cut."""

    text: str
    level: Literal["info", "warning", "error"] = "info"


class Unparsed(_Event, frozen=True, tag="unparsed"):
    """A vendor line no driver rule knew. Shown folded, counted, never a lost session."""

    text: str


class Exited(_Event, frozen=True, tag="exited"):
    """The last record of a runner's life."""

    reason: Literal["stopped", "finished", "crashed"]
    exit_code: int | None = None
    message: str = ""


Event = (
    SessionStarted
    | TurnStarted
    | UserMessage
    | Text
    | Thinking
    | ToolCall
    | ToolOutput
    | ToolResult
    | PermissionRequested
    | PermissionResolved
    | Usage
    | Quota
    | Retrying
    | Failed
    | TurnEnded
    | Notice
    | Unparsed
    | Exited
)


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of journal.ndjson. `raw` is the byte offset of the vendor line in vendor.ndjson."""

    seq: int
    at: datetime
    event: Event
    raw: int | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    """One journal line, newline included."""
    return _encoder.encode(record) + b"\n"


def decode(line: bytes) -> Record:
    """The record of one journal line; raises `msgspec.DecodeError` for anything else."""
    return _decoder.decode(line)


def utc_now() -> datetime:
    return datetime.now(UTC)
