"""What the API agents' loop and a vendor's service agree on: one model call, its errors, its words.

A vendor module implements `Model`. Conversations are lists of the vendor's own items, so that what
was said goes back exactly as it came.
"""

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Literal, Protocol

import msgspec

from agents.base import Availability, Endpoint, Host
from agents.errors import VendorError
from agents.events import ErrorKind, Event, Quota, QuotaWindow, Text, Thinking, utc_now

Item = dict[str, object]
Stop = Literal["end", "length", "pause"]
CUT = "The call was cut off by the length limit; nothing was run. Do less at once."
SUMMARY_CHARACTERS = 4000
LIMIT_SECONDS = 300.0  # a longer retry-after is a used-up window: park, do not wait in place


class Call(msgspec.Struct, frozen=True):
    """A tool call; `problem` says why it can't be run (cut off, not JSON)."""

    call_id: str
    name: str
    input: dict[str, object]
    problem: str = ""


class Step(msgspec.Struct, frozen=True):
    """One finished model call: items for the conversation, calls to run. `raw` is its last line."""

    items: list[Item]
    calls: list[Call]
    summary: str = ""  # the end of the last text block
    stop: Stop = "end"
    raw: int | None = None


class ModelError(VendorError):
    """A model call failed in a known way."""

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        retry_after_seconds: float | None = None,
        resets_at: datetime | None = None,
        raw: int | None = None,
    ) -> None:
        if kind == "throttle" and (retry_after_seconds or 0) > LIMIT_SECONDS:
            kind = "limit"
        super().__init__(kind, message)
        self.retry_after_seconds = retry_after_seconds
        self.resets_at = resets_at
        if kind == "limit" and resets_at is None and retry_after_seconds:
            self.resets_at = utc_now() + timedelta(seconds=retry_after_seconds)
        self.raw = raw


def last_words(texts: list[str]) -> str:
    """What a turn's summary shows of its last text, which may be a flood."""
    return texts[-1].strip()[-SUMMARY_CHARACTERS:] if texts else ""


class Model(Protocol):
    """One vendor's service and the shape of its conversations."""

    name: str  # of the model
    version: str  # of the vendor's client

    async def step(self, items: list[Item], instructions: str, sink: "Sink") -> Step:
        """One streamed call; words go to `sink`. Raises ModelError, or is cancelled."""

    def say(self, items: list[Item], text: str) -> None:
        """Append the human's words."""

    def reply(self, items: list[Item], text: str) -> None:
        """Append what the model had said before it was cut off."""

    def answer(self, items: list[Item], call_id: str, text: str, is_error: bool) -> None:
        """Append a tool's result."""

    def unanswered(self, items: list[Item]) -> list[str]:
        """Ids of the calls that have no result yet."""

    async def close(self) -> None:
        """Let go of connections; bounded."""


class Sink:
    """Where one model call's words go while they stream."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._open: dict[str, type[Text] | type[Thinking]] = {}
        self._prefix = uuid.uuid4().hex  # vendors' own ids repeat on some servers
        self.raw: int | None = None
        self.text = ""  # so far, all blocks of this call

    def keep(self, event: dict[str, Any]) -> dict[str, Any]:
        """Store what the vendor said, fit to be stored; what is emitted next points at it."""
        try:
            line = msgspec.json.encode(event)
        except UnicodeEncodeError:  # half an emoji, cut by a server's tokeniser
            text = json.dumps(event, ensure_ascii=False)
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            line, event = text.encode(), json.loads(text)
        self.raw = self._host.keep_raw(line)
        return event

    def emit(self, event: Event) -> None:
        self._host.emit(event, self.raw)

    def say(self, message_id: str, text: str) -> None:
        """A piece of the answer."""
        self.text += text
        self._piece(Text, message_id, text)

    def think(self, message_id: str, text: str) -> None:
        """A piece of the reasoning."""
        self._piece(Thinking, message_id, text)

    def end(self, message_id: str) -> None:
        """That message is complete."""
        if kind := self._open.pop(message_id, None):
            self.emit(kind(f"{self._prefix}-{message_id}", "", final=True))

    def end_all(self) -> None:
        """Whatever is still open is as complete as it gets."""
        for message_id in list(self._open):
            self.end(message_id)

    def _piece(self, kind: type[Text] | type[Thinking], message_id: str, text: str) -> None:
        if text:
            self._open[message_id] = kind
            self.emit(kind(f"{self._prefix}-{message_id}", text))


def arguments(text: str) -> tuple[dict[str, object], str]:
    """A call's JSON arguments, and what is wrong with them or ""."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, object]), ""
    except (ValueError, RecursionError) as error:
        return {}, f"The arguments were not a valid JSON object ({error}); nothing was run."


_CONTEXT = ("prompt is too long", "context_length_exceeded", "context window", "maximum context")
_BILLING = ("credit balance", "insufficient_quota", "billing", "purchase credits")


def error_kind(status: int, code: str, message: str) -> ErrorKind:
    """The kind of an error answer from its HTTP status, its type or code, and its words."""
    words = f"{code} {message}".lower()
    if status == 401 or code == "authentication_error":
        return "auth"
    if status == 402 or any(word in words for word in _BILLING):
        return "billing"
    if status == 403 or code == "permission_error":
        return "auth"
    if "usage_limit" in code:
        return "limit"
    if status == 429 or "rate_limit" in code:
        return "throttle"
    if status == 413 or any(word in words for word in _CONTEXT):
        return "context"
    if status >= 500 or status in (408, 409) or any(w in code for w in ("overloaded", "api_error")):
        return "overloaded"
    return "overloaded" if code == "server_error" else "invalid"


_HINTS: dict[ErrorKind, str] = {
    "auth": " Check the account's key.",
    "billing": " Add credit at the provider, or use another account.",
    "context": " Start a new session for the rest of the work.",
}


def refused(
    sink: Sink, status: int, code: str, message: str, headers: Mapping[str, str], body: object
) -> ModelError:
    """The typed error of an answer that was none; its body is kept as a raw line."""
    sink.keep({"status": status, "error": body})
    kind = error_kind(status, code, message)
    told = f"{message}{'' if status == 200 else f' (HTTP {status})'}{_HINTS.get(kind, '')}"
    wait = seconds_of(headers.get("retry-after", ""))
    fields = body if isinstance(body, dict) else {}
    resets_at = reset_time(str(fields.get("resets_at") or "")) if kind == "limit" else None
    return ModelError(kind, told, wait, resets_at, sink.raw)


def broken(sink: Sink, error: BaseException | str) -> ModelError:
    """The typed error of a service that could not be reached, or broke off in mid-stream."""
    cause = error if isinstance(error, str) else error.__cause__ or error
    detail = cause if isinstance(cause, str) else f"{type(cause).__name__}: {cause}".rstrip(": ")
    told = f"The model's service could not be reached, or broke off: {detail}."
    return ModelError("network", told, raw=sink.raw)


def secret(host: Host, default_env: str) -> str:
    """The account's key; "none" for an endpoint without one. Raises VendorError(auth)."""
    endpoint = host.spec.endpoint
    if not endpoint.secret_env and endpoint.base_url:
        return "none"
    name = endpoint.secret_env or default_env
    if key := host.environment().get(name):
        return key
    raise VendorError("auth", f"The variable {name} is not set; set it to the account's key.")


def availability(
    package: str, default_env: str, endpoint: Endpoint, env: dict[str, str]
) -> Availability:
    """Whether there is a key to use, or an endpoint that may do without."""
    name = endpoint.secret_env or default_env
    installed = version(package)
    if env.get(name) or (endpoint.base_url and not endpoint.secret_env):
        return Availability(True, version=installed)
    return Availability(False, version=installed, problem=f"Set {name} to the account's API key.")


_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds_of(text: str) -> float | None:
    """Seconds of "20ms", "6m0s", "1.5" (seconds); None for anything else."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[dhms])", text)
    if not parts or "".join(f"{n}{unit}" for n, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def reset_time(text: str | None) -> datetime | None:
    """When a window returns, from an RFC 3339 time, an epoch second or a duration."""
    if not text:
        return None
    try:
        if text.isdigit() and int(text) > 1_000_000_000:
            return datetime.fromtimestamp(int(text), UTC)
        if (seconds := seconds_of(text)) is not None:
            return utc_now() + timedelta(seconds=seconds)
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def minute_window(
    kind: str, limit: str | None, remaining: str | None, reset: str | None
) -> QuotaWindow | None:
    """The per-minute window that three headers tell, or None where they do not."""
    try:
        total, left = float(limit or ""), float(remaining or "")
    except ValueError:
        return None
    if total <= 0:
        return None
    used = min(max(100 * (1 - left / total), 0.0), 100.0)
    return QuotaWindow(kind, round(used, 2), 1, reset_time(reset))


def quota(windows: list[QuotaWindow], refused: bool, source: str) -> Quota | None:
    """The reading of one answer's headers; `refused` when that answer was a 429."""
    if not windows:
        return None
    full = max(window.used_percent for window in windows)
    return Quota(windows, "rejected" if refused else "warning" if full >= 90 else "allowed", source)
