"""The Messages API agent: the contracts, and what this protocol alone can say."""

from pathlib import Path
from typing import Any

import pytest

from agents.conformance import CONTRACTS, Contract
from agents.events import Failed, Notice, Retrying, Text, Thinking, ToolCall, ToolResult, Usage
from agents.rehearsal.server import RehearsalServer
from agents.testing import Stage
from tests.agents.drivers.api_cases import MESSAGES, talking
from tests.agents.drivers.sse_server import SseServer, error, serving, stream

pytestmark = pytest.mark.usefixtures("git_worktree")


PROMISES = [
    pytest.param(contract, id=contract.name, marks=[pytest.mark.slow] if contract.slow else [])
    for contract in CONTRACTS
    if contract.applies(MESSAGES)
]


@pytest.mark.parametrize("contract", PROMISES)
async def test_it_keeps_the_contract(
    contract: Contract, rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    await contract.run(Stage(MESSAGES, rehearsal, tmp_path))


async def play(tmp: Path, *answers: bytes, ends_as: str = "completed") -> Any:
    """One turn against prepared answers: (host, server)."""
    async with serving(*answers) as server:
        async with talking("anthropic_api", server.url, tmp) as live:
            assert (await live.turn()).outcome == ends_as
        return live.host, server


def message(*blocks: tuple[dict[str, Any], list[dict[str, Any]]], stop: str = "end_turn") -> bytes:
    """A streamed message of these blocks, each with its deltas."""
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 30,
        "output_tokens": 1,
    }
    start = {"id": "m", "type": "message", "role": "assistant", "model": "told-model"}
    start |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        for delta in deltas:
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    said = {"output_tokens": 40, "output_tokens_details": {"thinking_tokens": 7}}
    delta = {"stop_reason": stop, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": said})
    return stream(*events, {"type": "message_stop"})


def text(*pieces: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return {"type": "text", "text": ""}, deltas


def call(name: str, *pieces: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return {"type": "tool_use", "id": f"id-{name}", "name": name, "input": {}}, deltas


def thinking(words: str, signature: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return {"type": "thinking", "thinking": "", "signature": ""}, [
        {"type": "thinking_delta", "thinking": words},
        {"type": "signature_delta", "signature": signature},
    ]


def results(server: SseServer) -> list[dict[str, Any]]:
    """The last request's tool results."""
    blocks = server.requests[-1]["messages"][-1]["content"]
    return [block for block in blocks if block["type"] == "tool_result"]


async def test_it_counts_each_kind_of_token(tmp_path: Path) -> None:
    host, _ = await play(tmp_path, message(text("hello")))
    assert host.of(Usage) == [  # the input as it begins, the output as it ends
        Usage("told-model", 1, 10, 20, 30),
        Usage("told-model", 39, reasoning_tokens=7),
    ]


async def test_it_gives_thinking_back_as_it_came(tmp_path: Path) -> None:
    host, server = await play(
        tmp_path,
        message(thinking("hm", "sig-1"), call("bash", '{"command":', ' "true"}'), stop="tool_use"),
        message(text("done")),
    )
    assert [(t.text, t.final) for t in host.of(Thinking)] == [("hm", False), ("", True)]
    sent = server.requests[-1]["messages"][1]["content"]
    assert sent[0] == {"type": "thinking", "thinking": "hm", "signature": "sig-1"}
    assert sent[1]["input"] == {"command": "true"}


async def test_it_marks_what_the_vendor_may_cache(tmp_path: Path) -> None:
    _, server = await play(
        tmp_path,
        message(call("bash", '{"command": "true"}'), stop="tool_use"),
        message(call("bash", '{"command": "true"}'), stop="tool_use"),
        message(text("done")),
    )
    body = server.requests[-1]
    assert "cache_control" in body["system"][-1]
    users = [m["content"][-1] for m in body["messages"] if m["role"] == "user"]
    assert ["cache_control" in block for block in users] == [False, True, True]


async def test_it_runs_several_calls_of_one_message(tmp_path: Path) -> None:
    host, server = await play(
        tmp_path,
        message(call("bash", '{"command": "echo a"}'), call("read", '{"path": "README.md"}')),
        message(text("done")),
    )
    assert [c.name for c in host.of(ToolCall)] == ["bash", "read"]
    assert [r["tool_use_id"] for r in results(server)] == ["id-bash", "id-read"]


async def test_it_never_runs_a_call_that_was_cut_off(tmp_path: Path) -> None:
    host, server = await play(
        tmp_path,
        message(call("bash", '{"command": "touch ran'), stop="max_tokens"),
        message(call("bash", '{"command": "touch ran"}'), stop="max_tokens"),
        message(text("done"), stop="max_tokens"),
    )
    assert not (tmp_path / "worktree/ran").exists()
    assert all(result.is_error for result in host.of(ToolResult))
    assert "cut off" in results(server)[-1]["content"]
    assert "length limit" in host.of(Notice)[-1].text


async def test_it_tells_the_model_of_arguments_that_are_no_json(tmp_path: Path) -> None:
    _, server = await play(
        tmp_path,
        message(call("bash", '{"command": oops}'), stop="tool_use"),
        message(call("bash", r'{"command": "\ud800"}'), stop="tool_use"),
        message(text("done")),
    )
    assert "not a valid JSON object" in results(server)[-1]["content"]
    assert results(server)[-1]["is_error"]


async def test_it_survives_half_an_emoji(tmp_path: Path) -> None:
    host, _ = await play(tmp_path, message(text("a", "\ud83d", "\ude00", "b")))
    assert "".join(piece.text for piece in host.of(Text)) == "a\ufffd\ufffdb"


async def test_it_takes_an_empty_answer(tmp_path: Path) -> None:
    host, _ = await play(tmp_path, message())
    assert not host.of(Failed)


async def test_it_goes_on_after_a_pause(tmp_path: Path) -> None:
    host, _ = await play(tmp_path, message(text("one"), stop="pause_turn"), message(text("two")))
    assert [row.output_tokens for row in host.of(Usage)] == [1, 39, 1, 39]


@pytest.mark.parametrize(
    ("stop", "kind"), [("refusal", "invalid"), ("model_context_window_exceeded", "context")]
)
async def test_it_takes_no_refusal_for_success(tmp_path: Path, stop: str, kind: str) -> None:
    host, _ = await play(tmp_path, message(text("no"), stop=stop), ends_as="failed")
    assert [failure.error for failure in host.of(Failed)] == [kind]


async def test_it_takes_no_stream_that_just_ends_for_success(tmp_path: Path) -> None:
    whole = message(text("half an ans", "wer"))
    torn = whole[: whole.index(b"event: message_delta")]
    host, _ = await play(tmp_path, torn, whole)
    assert [retry.error for retry in host.of(Retrying)] == ["network"]
    # The broken call was paid for too.
    assert [row.input_tokens for row in host.of(Usage)] == [10, 10, 0]


@pytest.mark.parametrize(
    ("status", "code", "said", "kind"),
    [
        (400, "invalid_request_error", "max_tokens: too large", "invalid"),
        (404, "not_found_error", "model: no-such-model", "invalid"),
        (402, "billing_error", "Payment required", "billing"),
        (413, "request_too_large", "Request exceeds the maximum size", "context"),
        (401, "authentication_error", "invalid x-api-key", "auth"),
    ],
)
async def test_it_types_what_does_not_pass(
    tmp_path: Path, status: int, code: str, said: str, kind: str
) -> None:
    body = {"type": "error", "error": {"type": code, "message": said}}
    host, _ = await play(tmp_path, error(status, body), ends_as="failed")
    assert [failure.error for failure in host.of(Failed)] == [kind]
    assert said in host.of(Failed)[0].message
    assert said.encode() in host.vendor.read_bytes()
    assert not host.of(Retrying)


async def test_it_keeps_words_and_results_in_one_user_message(tmp_path: Path) -> None:
    """Roles alternate, whatever failed in between."""
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    async with (
        serving(error(400, body), message(text("fine"))) as server,
        talking("anthropic_api", server.url, tmp_path) as live,
    ):
        assert (await live.turn("first")).outcome == "failed"
        assert (await live.turn("second")).outcome == "completed"
    sent = server.requests[-1]["messages"]
    assert [m["role"] for m in sent] == ["user"]
    assert [block["text"] for block in sent[0]["content"]] == ["first", "second"]
