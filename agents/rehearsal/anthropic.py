"""The Messages protocol: reads requests, writes answers, streams, errors and limit headers."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from agents.rehearsal.conversation import (
    Answer,
    Conversation,
    Entry,
    Interrupted,
    Prompt,
    Result,
    Steer,
    human_text,
    locate,
)
from agents.rehearsal.failures import Failure
from agents.rehearsal.limits import anthropic_headers as limit_headers
from agents.rehearsal.play import Reply, pieces
from agents.rehearsal.wire import ErrorAnswer, Frame, encode, frame, fresh_id

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

CALL_PREFIX = "toolu"
Json = dict[str, Any]

_DIRECTORY = re.compile(r"[Ww]orking directory: (\S.*)")
_STEER = re.compile(
    r"The user sent a new message while you were working:\s*(.+?)\s*(?:\n\nThis is how|\Z)",
    re.DOTALL,
)
_ERRORS = {
    "429": (429, "rate_limit_error", "This request would exceed your rate limit."),
    "529": (529, "overloaded_error", "Overloaded"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "500": (500, "api_error", "Internal server error"),
    "503": (503, "api_error", "Service unavailable"),
    "401": (401, "authentication_error", "invalid x-api-key"),
    "403": (403, "permission_error", "OAuth token has been revoked. Please obtain a new token."),
    "400_credit": (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. "
        "Please go to Plans & Billing to upgrade or purchase credits.",
    ),
    "context": (
        400,
        "invalid_request_error",
        "prompt is too long: 250000 tokens > 200000 maximum",
    ),
    "limited": (429, "rate_limit_error", "This request would exceed your account's rate limit."),
}


def read(body: Json, headers: Mapping[str, str]) -> Conversation:
    """The conversation a Messages request carries."""
    tools = frozenset(tool.get("name", "") for tool in body.get("tools") or [])
    place = locate(_history(body.get("messages", []), errors_refuse="Bash" in tools))
    session = headers.get("x-claude-code-session-id") or str(body.get("metadata"))
    directory = _directory(body)
    first = place.prompts[0] if place.prompts else ""
    return Conversation(
        key=hashlib.sha256(f"{session}\0{directory}\0{first}".encode()).hexdigest()[:16],
        place=place,
        directory=directory,
        tools=tools,
        seen_paths=frozenset(_paths(body.get("messages", []))),
        side_call=not tools and "claude-cli" in headers.get("user-agent", ""),
        stream=bool(body.get("stream")),
        model=str(body.get("model", "")),
        thinks=(body.get("thinking") or {}).get("type") in {"enabled", "adaptive"},
    )


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def _history(messages: list[Json], *, errors_refuse: bool) -> Iterator[Entry]:
    """Claude Code gives a refusal's reason as an error's text, so its errors count as refusals."""
    for message in messages:
        blocks = _blocks(message.get("content"))
        if message["role"] == "assistant":
            ids = tuple(block["id"] for block in blocks if block.get("type") == "tool_use")
            yield Answer(ids)
        elif message["role"] == "system":
            yield from _steers(blocks)
        else:
            yield from _user(blocks, errors_refuse)


def _user(blocks: list[Json], errors_refuse: bool) -> Iterator[Entry]:
    texts: list[str] = []
    for block in blocks:
        if block.get("type") == "tool_result":
            text = encode(block.get("content")).decode()
            yield Result(text, errors_refuse and bool(block.get("is_error")))
        elif block.get("type") == "text":
            match human_text(block["text"]):
                case Prompt(text):
                    texts.append(text)
                case Interrupted():
                    yield Interrupted()
    if texts:
        yield Prompt("\n".join(texts))


def _steers(blocks: list[Json]) -> Iterator[Entry]:
    for block in blocks:
        if found := _STEER.search(block.get("text", "")):
            yield Steer(found[1].strip())


def _directory(body: Json) -> str:
    system = [message for message in body.get("messages", []) if message["role"] == "system"]
    texts = [body.get("system"), *(message["content"] for message in system)]
    for text in (block.get("text", "") for content in texts for block in _blocks(content)):
        if found := _DIRECTORY.search(text):
            return str(found[1]).strip()
    return ""


def _paths(messages: list[Json]) -> Iterator[str]:
    for message in messages:
        for block in _blocks(message.get("content")):
            if block.get("type") == "tool_use" and "file_path" in block["input"]:
                yield block["input"]["file_path"]


def _usage(reply: Reply, output_tokens: int) -> Json:
    usage = reply.usage
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _content(reply: Reply) -> list[Json]:
    content: list[Json] = []
    if reply.think:
        signature = hashlib.sha256(reply.think.encode()).hexdigest()
        content.append({"type": "thinking", "thinking": reply.think, "signature": signature})
    if reply.say:
        content.append({"type": "text", "text": reply.say})
    for identifier, use in reply.calls:
        content.append(
            {"type": "tool_use", "id": identifier, "name": use.name, "input": use.arguments}
        )
    return content


def message(reply: Reply, model: str) -> Json:
    """The whole answer of a request without streaming."""
    return {
        "id": fresh_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _content(reply),
        "stop_reason": "tool_use" if reply.calls else "end_turn",
        "stop_sequence": None,
        "usage": _usage(reply, reply.output_tokens),
    }


def frames(reply: Reply, model: str) -> Iterator[Frame]:
    """The answer as the events of a stream."""
    whole = message(reply, model)
    start = whole | {"content": [], "stop_reason": None, "usage": _usage(reply, 1)}
    yield replace(frame({"type": "message_start", "message": start}), told="start")
    yield frame({"type": "ping"})
    for index, block in enumerate(whole["content"]):
        empty, deltas = _deltas(block, reply.tokens_per_second)
        yield frame({"type": "content_block_start", "index": index, "content_block": empty})
        for delta, weight in deltas:
            yield frame({"type": "content_block_delta", "index": index, "delta": delta}, weight)
        yield frame({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    ending = frame({"type": "message_delta", "delta": delta, "usage": whole["usage"]})
    yield replace(ending, told="whole")
    yield frame({"type": "message_stop"})


def _deltas(block: Json, pace: float) -> tuple[Json, list[tuple[Json, int]]]:
    match block["type"]:
        case "text":
            parts = pieces(block["text"], pace)
            return block | {"text": ""}, [
                ({"type": "text_delta", "text": part}, len(part)) for part in parts
            ]
        case "thinking":
            deltas = [
                ({"type": "thinking_delta", "thinking": part}, len(part))
                for part in pieces(block["thinking"], pace)
            ]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return block | {"thinking": "", "signature": ""}, [*deltas, (signed, 0)]
        case _:
            parts = pieces(encode(block["input"]).decode(), pace)
            return block | {"input": {}}, [
                ({"type": "input_json_delta", "partial_json": part}, len(part)) for part in parts
            ]


STREAMED_ERRORS = frozenset({"sse_error"})


def stream_error(failure: Failure) -> Frame:
    """An error in the middle of a stream."""
    _ = failure
    return frame({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})


def error(failure: Failure) -> ErrorAnswer:
    """The failure as this protocol answers it."""
    status, kind, text = _ERRORS[failure.kind]
    extra: dict[str, str] = {}
    if failure.retry_after_seconds is not None:
        extra["retry-after"] = f"{failure.retry_after_seconds:g}"
    if failure.kind == "limited":
        extra["retry-after"] = str(failure.reset_in_seconds())
    body: dict[str, object] = {
        "type": "error",
        "error": {"type": kind, "message": text},
        "request_id": fresh_id("req"),
    }
    return ErrorAnswer(status, body, extra)
