"""What an API agent's failed model calls mean: the kind of error, and whether to wait in place."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from agents.drivers.api_model import Sink
from agents.drivers.api_quota import reset_time, seconds_of
from agents.errors import VendorError
from agents.events import ErrorKind, utc_now

LIMIT_SECONDS = 300.0  # a longer retry-after is a used-up window: park, do not wait in place


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
