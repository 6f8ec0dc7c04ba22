"""The Responses API agent: the contracts, and what this protocol alone can say."""

from pathlib import Path
from typing import Any

import pytest

from agents.conformance import CONTRACTS, Contract
from agents.events import Failed, Notice, Retrying, Text, Thinking, ToolCall, ToolResult, Usage
from agents.rehearsal.server import RehearsalServer
from agents.testing import Stage
from tests.agents.drivers.api_cases import RESPONSES, talking
from tests.agents.drivers.sse_server import error, serving, stream

pytestmark = pytest.mark.usefixtures("git_worktree")
Json = dict[str, Any]


PROMISES = [
    pytest.param(contract, id=contract.name, marks=[pytest.mark.slow] if contract.slow else [])
    for contract in CONTRACTS
    if contract.applies(RESPONSES)
]


@pytest.mark.parametrize("contract", PROMISES)
async def test_it_keeps_the_contract(
    contract: Contract, rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    await contract.run(Stage(RESPONSES, rehearsal, tmp_path))


async def play(tmp: Path, *answers: bytes, ends_as: str = "completed") -> Any:
    """One turn against prepared answers: (host, server)."""
    async with serving(*answers) as server:
        async with talking("openai_api", f"{server.url}/v1", tmp) as live:
            assert (await live.turn()).outcome == ends_as
        return live.host, server


def response(
    *items: Json, status: str = "completed", usage: Json | None = None, **more: Any
) -> bytes:
    """A streamed response of these items, told by whole items as small servers do."""
    base = {"id": "r", "object": "response", "created_at": 1, "model": "told-model"}
    events: list[Json] = [
        {"type": "response.created", "response": {**base, "output": [], "status": "in_progress"}}
    ]
    for index, item in enumerate(items):
        if item["type"] == "message":
            events.append(delta(index, item["content"][0]["text"]))
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    told = {**base, "output": list(items), "status": status, "usage": usage, **more}
    events.append({"type": f"response.{status}", "response": told})
    return stream(*[{**event, "sequence_number": n} for n, event in enumerate(events)])


def delta(index: int, text: str) -> Json:
    return {
        "type": "response.output_text.delta",
        "output_index": index,
        "content_index": 0,
        "item_id": "m",
        "delta": text,
        "logprobs": [],
    }


def message(text: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def call(arguments: str, **more: Any) -> Json:
    return {
        "type": "function_call",
        "id": "f",
        "call_id": "c1",
        "name": "bash",
        "arguments": arguments,
        **more,
    }


def output(server: Any) -> str:
    """What the last request says a tool gave."""
    item = server.requests[-1]["input"][-1]
    assert item["type"] == "function_call_output"
    return str(item["output"])


async def test_it_counts_each_kind_of_token(tmp_path: Path) -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 25},
        "total_tokens": 140,
    }
    host, _ = await play(tmp_path, response(message("hello"), usage=usage))
    assert host.of(Usage) == [Usage("told-model", 40, 10, 30, 60, 25)]


async def test_it_counts_what_a_small_server_tells(tmp_path: Path) -> None:
    usage = {"input_tokens": 100, "output_tokens": 40, "total_tokens": 140}
    host, _ = await play(tmp_path, response(message("hello"), usage=usage))
    assert host.of(Usage) == [Usage("told-model", 40, 100)]
    assert "".join(piece.text for piece in host.of(Text)) == "hello"
    assert host.of(Text)[-1].final


async def test_it_takes_no_usage_for_absent(tmp_path: Path) -> None:
    host, _ = await play(tmp_path, response(message("hello")))
    assert not host.of(Usage)


async def test_it_asks_other_servers_for_nothing_special(tmp_path: Path) -> None:
    _, server = await play(tmp_path, response(message("hello")))
    assert not {"include", "prompt_cache_key"} & set(server.requests[0])
    assert server.requests[0]["store"] is False


async def test_it_gives_back_reasoning_that_can_be_read(tmp_path: Path) -> None:
    open_words = [{"type": "reasoning_text", "text": "because"}]
    _, server = await play(
        tmp_path,
        response(
            {"type": "reasoning", "id": "rs1", "summary": [], "encrypted_content": "zzz"},
            {"type": "reasoning", "id": "rs2", "summary": [], "content": open_words},
            {"type": "reasoning", "id": "rs3", "summary": []},
            call('{"command": "true"}'),
        ),
        response(message("done")),
    )
    sent = server.requests[-1]["input"]
    assert [item.get("id") for item in sent if item.get("type") == "reasoning"] == ["rs1", "rs2"]


async def test_it_shows_reasoning(tmp_path: Path) -> None:
    where = {"output_index": 0, "summary_index": 0, "item_id": "rs"}
    thought = stream(
        {"type": "response.reasoning_summary_text.delta", **where, "delta": "hm"},
        {"type": "response.reasoning_summary_text.done", **where, "text": "hm"},
    ).partition(b"\r\n\r\n")[2]
    head, split, body = response(message("done")).partition(b"\r\n\r\n")
    host, _ = await play(tmp_path, head + split + thought + body)
    assert [(t.text, t.final) for t in host.of(Thinking)] == [("hm", False), ("", True)]


async def test_it_takes_items_from_the_stream_when_the_end_has_none(tmp_path: Path) -> None:
    bare = response(call('{"command": "echo found"}'), output=[])
    host, server = await play(tmp_path, bare, response(message("done")))
    assert len(host.of(ToolCall)) == 1
    assert output(server) == "found\n"


async def test_it_never_runs_a_call_that_was_cut_off(tmp_path: Path) -> None:
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    host, server = await play(
        tmp_path,
        response(call('{"command": "touch ran', status="incomplete"), **cut),
        response(call('{"command": "touch ran"}', status="incomplete"), **cut),
        response(message("done"), **cut),
    )
    assert not (tmp_path / "worktree/ran").exists()
    assert all(result.is_error for result in host.of(ToolResult))
    assert "cut off" in output(server)
    sent = [item for item in server.requests[-1]["input"] if item.get("type") == "function_call"]
    assert sent[0]["arguments"] == "{}"
    assert "length limit" in host.of(Notice)[-1].text


async def test_it_takes_a_failed_response_for_a_failure(tmp_path: Path) -> None:
    failed = {"error": {"code": "server_error", "message": "The model broke."}}
    host, _ = await play(
        tmp_path, response(status="failed", **failed), response(message("after all"))
    )
    assert [retry.error for retry in host.of(Retrying)] == ["overloaded"]
    assert "The model broke." in host.of(Retrying)[0].message


async def test_it_takes_an_error_event_for_a_failure(tmp_path: Path) -> None:
    told = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}
    host, _ = await play(
        tmp_path, stream({**told, "sequence_number": 0}), response(message("after all"))
    )
    assert [retry.error for retry in host.of(Retrying)] == ["throttle"]


async def test_it_takes_no_stream_that_just_ends_for_success(tmp_path: Path) -> None:
    torn = stream({**delta(0, "half an ans"), "sequence_number": 0})
    host, _ = await play(tmp_path, torn, response(message("whole")))
    assert [retry.error for retry in host.of(Retrying)] == ["network"]
    finals = [piece.message_id for piece in host.of(Text) if piece.final]
    assert len(finals) == len(set(finals)) == 2


async def test_it_takes_no_refusal_for_success(tmp_path: Path) -> None:
    filtered = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    host, _ = await play(tmp_path, response(message("I can"), **filtered), ends_as="failed")
    assert [failure.error for failure in host.of(Failed)] == ["invalid"]


@pytest.mark.parametrize(
    ("status", "fields", "kind"),
    [
        (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, "billing"),
        (404, {"code": "model_not_found"}, "invalid"),
        (400, {"code": "context_length_exceeded"}, "context"),
        (401, {"code": "invalid_api_key"}, "auth"),
    ],
)
async def test_it_types_what_does_not_pass(
    tmp_path: Path, status: int, fields: Json, kind: str
) -> None:
    body = {"error": {"message": "these-words", "param": None, **fields}}
    host, _ = await play(tmp_path, error(status, body), ends_as="failed")
    assert [failure.error for failure in host.of(Failed)] == [kind]
    assert "these-words" in host.of(Failed)[0].message
    assert not host.of(Retrying)


async def test_it_parks_for_a_used_up_window(tmp_path: Path) -> None:
    body = {"error": {"type": "usage_limit_reached", "message": "used up", "resets_at": 1999999999}}
    host, _ = await play(tmp_path, error(429, body), ends_as="limited")
    resets_at = host.of(Failed)[0].resets_at
    assert resets_at is not None
    assert resets_at.timestamp() == 1999999999
