"""The Responses protocol: reads requests, writes errors."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agents.rehearsal.conversation import (
    Answer,
    Conversation,
    Entry,
    Interrupted,
    Prompt,
    Result,
    human_text,
    locate,
)
from agents.rehearsal.failures import Failure
from agents.rehearsal.limits import openai_headers as limit_headers
from agents.rehearsal.openai_answer import frames, message, response
from agents.rehearsal.wire import ErrorAnswer, Frame, encode, frame

__all__ = [
    "CALL_PREFIX",
    "STREAMED_ERRORS",
    "error",
    "frames",
    "limit_headers",
    "message",
    "read",
    "stream_error",
]

CALL_PREFIX = "call"
Json = dict[str, Any]

_DIRECTORY = re.compile(r"<cwd>(.+?)</cwd>|[Ww]orking directory: (\S.*)")
_ERRORS = {
    "429": (429, "rate_limit_error", "rate_limit_exceeded", "Rate limit reached for requests."),
    "529": (529, "server_error", "overloaded", "Overloaded"),
    "overloaded": (503, "server_error", "server_is_overloaded", "The model is overloaded."),
    "500": (500, "server_error", "server_error", "The server had an error."),
    "503": (503, "server_error", "server_is_overloaded", "Service unavailable."),
    "401": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "403": (403, "invalid_request_error", "forbidden", "You have no access to this model."),
    "400_credit": (
        400,
        "insufficient_quota",
        "billing_hard_limit_reached",
        "Billing hard limit has been reached.",
    ),
    "context": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "Your input exceeds the context window of this model.",
    ),
    "limited": (
        429,
        "usage_limit_reached",
        "usage_limit_reached",
        "The usage limit has been reached",
    ),
}


def read(body: Json, headers: Mapping[str, str]) -> Conversation:
    """The conversation a Responses request carries."""
    items = _items(body.get("input"))
    place = locate(_history(items))
    tools = frozenset(_tool_names(body, items))
    session = body.get("prompt_cache_key") or headers.get("session-id") or body.get("metadata")
    directory = _directory(body, items)
    first = place.prompts[0] if place.prompts else ""
    return Conversation(
        key=hashlib.sha256(f"{session}\0{directory}\0{first}".encode()).hexdigest()[:16],
        place=place,
        directory=directory,
        tools=tools,
        seen_paths=frozenset(),
        side_call=not tools and "x-codex-turn-metadata" in headers,
        stream=bool(body.get("stream")),
        model=str(body.get("model", "")),
        thinks=body.get("reasoning") is not None,
    )


def _items(given: object) -> list[Json]:
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return list(given) if isinstance(given, list) else []


def _texts(item: Json) -> list[str]:
    content = item.get("content") or ""
    return [content] if isinstance(content, str) else [part.get("text", "") for part in content]


def _history(items: list[Json]) -> Iterator[Entry]:
    for item in items:
        match item.get("type", "message"), item.get("role"):
            case "message", "user":
                yield from _user(item)
            case "message", "developer":
                # Codex says so in this role in code mode, and in the user's elsewhere.
                yield from (entry for entry in _user(item) if isinstance(entry, Interrupted))
            case "message", "assistant":
                yield Answer()
            case (("function_call" | "custom_tool_call"), _):
                yield Answer((item["call_id"],))
            case (("function_call_output" | "custom_tool_call_output"), _):
                yield Result(encode(item.get("output")).decode())


def _user(item: Json) -> Iterator[Entry]:
    texts: list[str] = []
    for text in _texts(item):
        match human_text(text):
            case Prompt(prompt):
                texts.append(prompt)
            case Interrupted():
                yield Interrupted()
    if texts:
        yield Prompt("\n".join(texts))


def _tool_names(body: Json, items: list[Json]) -> Iterator[str]:
    extra = [item for item in items if item.get("type") == "additional_tools"]
    for tool in [*(body.get("tools") or []), *(t for item in extra for t in item["tools"])]:
        if tool.get("type") == "namespace":
            yield from (f"{tool['name']}.{inner.get('name', '')}" for inner in tool["tools"])
        else:
            yield str(tool.get("name", tool.get("type", "")))


def _directory(body: Json, items: list[Json]) -> str:
    for text in (str(body.get("instructions", "")), *(t for item in items for t in _texts(item))):
        if found := _DIRECTORY.search(text):
            return str(found[1] or found[2]).strip()
    return ""


STREAMED_ERRORS = frozenset({"sse_error", "context"})


def stream_error(failure: Failure) -> Frame:
    """A failure in the middle of a stream."""
    _, _, code, text = _ERRORS["overloaded" if failure.kind == "sse_error" else failure.kind]
    failed = response("", "failed") | {"error": {"code": code, "message": text}}
    return frame({"type": "response.failed", "sequence_number": 99, "response": failed})


def error(failure: Failure) -> ErrorAnswer:
    """The failure as this protocol answers it."""
    status, kind, code, text = _ERRORS[failure.kind]
    body: Json = {"message": text, "type": kind, "code": code, "param": None}
    headers: dict[str, str] = {}
    if failure.retry_after_seconds is not None:
        headers["retry-after"] = f"{failure.retry_after_seconds:g}"
    if failure.kind == "limited":
        seconds = failure.reset_in_seconds()
        body |= {"plan_type": "pro", "resets_at": int(failure.reset_at)}
        body["resets_in_seconds"] = seconds
        headers["retry-after"] = str(seconds)
    return ErrorAnswer(status, {"error": body}, headers)
