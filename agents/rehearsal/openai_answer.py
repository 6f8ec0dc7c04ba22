"""A reply in the Responses protocol: the whole object, or the events of a stream."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from agents.rehearsal.play import Reply, pieces
from agents.rehearsal.tools import CODE_MODE
from agents.rehearsal.wire import Frame, encode, frame, fresh_id

Json = dict[str, Any]


def _usage(reply: Reply) -> Json:
    usage = reply.usage
    total_in = usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens
    return {
        "input_tokens": total_in,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        "total_tokens": total_in + reply.output_tokens,
    }


def _reasoning(text: str) -> Json:
    return {
        "type": "reasoning",
        "id": fresh_id("rs"),
        "summary": [{"type": "summary_text", "text": text}],
        "encrypted_content": hashlib.sha256(text.encode()).hexdigest(),
    }


def _message(text: str) -> Json:
    return {
        "type": "message",
        "id": fresh_id("msg"),
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }


def _call(call_id: str, name: str, arguments: dict[str, object] | str) -> Json:
    if isinstance(arguments, str):
        space, _, _ = CODE_MODE.partition(".")
        kind = {"type": "custom_tool_call", "id": fresh_id("ctc"), "namespace": space}
        return kind | {"call_id": call_id, "name": name, "input": arguments, "status": "completed"}
    kind = {"type": "function_call", "id": fresh_id("fc"), "status": "completed"}
    return kind | {"call_id": call_id, "name": name, "arguments": encode(arguments).decode()}


def _output(reply: Reply) -> list[Json]:
    output = [_reasoning(reply.think)] if reply.think else []
    output += [_message(reply.say)] if reply.say else []
    return output + [_call(call_id, use.name, use.arguments) for call_id, use in reply.calls]


def message(reply: Reply, model: str) -> Json:
    """The whole answer of a request without streaming."""
    return response(model, "completed") | {"output": _output(reply), "usage": _usage(reply)}


def response(model: str, status: str) -> Json:
    """A response object with nothing in it yet."""
    return {
        "id": fresh_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def frames(reply: Reply, model: str) -> Iterator[Frame]:
    """The answer as the events of a stream."""
    whole = message(reply, model)
    empty = whole | {"output": [], "usage": None, "status": "in_progress"}
    events = _events(whole, empty, reply.tokens_per_second)
    for number, (event, weight) in enumerate(events):
        sent = frame(event | {"sequence_number": number}, weight)
        yield replace(sent, told="whole") if event["type"] == "response.completed" else sent


def _events(whole: Json, empty: Json, pace: float) -> Iterator[tuple[Json, int]]:
    yield {"type": "response.created", "response": empty}, 0
    yield {"type": "response.in_progress", "response": empty}, 0
    for index, item in enumerate(whole["output"]):
        where = {"output_index": index, "item_id": item["id"]}
        field, before, delta, after = _SHAPES[item["type"]]
        opened = item | {field: [] if isinstance(item[field], list) else ""}
        opened |= {"status": "in_progress"} if "status" in item else {}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}, 0
        text, inside = _written(item, field)
        blank = {name: (value | {"text": ""}) for name, value in inside.items() if name == "part"}
        if before:
            yield {"type": before} | where | _index(field) | blank, 0
        for part in pieces(text, pace):
            extra: Json = {"logprobs": []} if field == "content" else {}
            yield {"type": delta, "delta": part} | where | _index(field) | extra, len(part)
        for name in after:
            yield {"type": name} | where | _index(field) | _closing(name, text, inside), 0
        yield {"type": "response.output_item.done", "output_index": index, "item": item}, 0
    yield {"type": "response.completed", "response": whole}, 0


_SHAPES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "message": (
        "content",
        "response.content_part.added",
        "response.output_text.delta",
        ("response.output_text.done", "response.content_part.done"),
    ),
    "reasoning": (
        "summary",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        ("response.reasoning_summary_text.done", "response.reasoning_summary_part.done"),
    ),
    "function_call": (
        "arguments",
        "",
        "response.function_call_arguments.delta",
        ("response.function_call_arguments.done",),
    ),
    "custom_tool_call": (
        "input",
        "",
        "response.custom_tool_call_input.delta",
        ("response.custom_tool_call_input.done",),
    ),
}
"""Of each item: the field that is streamed, the event before it, of a piece, and after it."""


def _written(item: Json, field: str) -> tuple[str, Json]:
    if isinstance(item[field], str):
        return item[field], {"name": item["name"]}
    return item[field][0]["text"], {"part": item[field][0]}


def _index(field: str) -> Json:
    return {"content": {"content_index": 0}, "summary": {"summary_index": 0}}.get(field, {})


def _closing(event: str, text: str, inside: Json) -> Json:
    if event.endswith("part.done"):
        return inside
    match event.split(".")[1]:
        case "function_call_arguments":
            return {"arguments": text} | inside
        case "custom_tool_call_input":
            return {"input": text}
        case "output_text":
            return {"text": text, "logprobs": []}
        case _:
            return {"text": text}
