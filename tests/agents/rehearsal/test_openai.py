"""The Responses protocol as the official SDK reads it."""

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from agents.rehearsal.server import RehearsalServer

TOOLS: Any = [
    {"type": "function", "name": name, "parameters": {"type": "object"}, "strict": False}
    for name in ("bash", "read", "write", "edit")
]


@pytest.fixture
def client(rehearsal: RehearsalServer) -> Iterator[Any]:
    clients: list[openai.OpenAI] = []

    def make(scenario: str) -> openai.OpenAI:
        url = rehearsal.openai_url(scenario)
        clients.append(openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=10))
        return clients[-1]

    yield make
    for each in clients:
        each.close()


def test_it_plays_a_whole_turn_with_tools(client: Any) -> None:
    items: list[Any] = [{"role": "user", "content": "Do the task"}]
    tools: list[tuple[str, str]] = []
    for _ in range(3):
        answer = client("happy").responses.create(model="m", input=items, tools=TOOLS)
        items += [item.model_dump(exclude_none=True) for item in answer.output]
        for call in [item for item in answer.output if item.type == "function_call"]:
            tools.append((call.name, call.arguments))
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": "ok"})
    assert answer.output_text == "All done: wrote hello.txt and committed it."
    assert [name for name, _ in tools] == ["write", "bash"]
    assert '"path":"hello.txt"' in tools[0][1]


def test_it_streams_text_reasoning_and_tools(client: Any) -> None:
    asked: Any = {"model": "m", "input": "Do the task", "tools": TOOLS, "reasoning": {}}
    with client("happy").responses.stream(**asked) as stream:
        events = {event.type for event in stream}
        final = stream.get_final_response()
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    assert final.usage.input_tokens == 12 + 1500 + 3600
    assert final.usage.input_tokens_details.cached_tokens == 3600
    assert final.usage.input_tokens_details.cache_write_tokens == 1500
    assert final.usage.output_tokens == 63
    assert {
        "response.reasoning_summary_text.delta",
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.completed",
    } <= events


def test_it_sends_limit_headers_and_windows_to_codex_only(client: Any) -> None:
    create = client("warn").responses.with_raw_response.create
    plain = create(model="m", input="Hi").headers
    assert plain["x-ratelimit-remaining-requests"] == "450"
    assert "x-codex-primary-used-percent" not in plain
    codex = create(model="m", input="Hi", extra_headers={"x-codex-turn-metadata": "{}"}).headers
    assert codex["x-codex-primary-used-percent"] == "92"
    assert codex["x-codex-primary-window-minutes"] == "300"
    assert codex["x-codex-secondary-window-minutes"] == "10080"


@pytest.mark.parametrize(
    ("scenario", "error", "status"),
    [
        ("429", openai.RateLimitError, 429),
        ("529", openai.InternalServerError, 529),
        ("overloaded", openai.InternalServerError, 503),
        ("500", openai.InternalServerError, 500),
        ("503", openai.InternalServerError, 503),
        ("401", openai.AuthenticationError, 401),
        ("403", openai.PermissionDeniedError, 403),
        ("400", openai.BadRequestError, 400),
        ("context", openai.BadRequestError, 400),
        ("limited", openai.RateLimitError, 429),
    ],
)
def test_it_fails_with_a_status(client: Any, scenario: str, error: Any, status: int) -> None:
    with pytest.raises(error) as caught:
        client(scenario).responses.create(model="m", input="Hi")
    assert caught.value.status_code == status
    if scenario == "limited":
        assert caught.value.type == "usage_limit_reached"
        assert 3500 < caught.value.body["resets_in_seconds"] <= 3601


@pytest.mark.parametrize("scenario", ["drop_early", "refuse"])
def test_it_closes_the_connection_unanswered(client: Any, scenario: str) -> None:
    with pytest.raises(openai.APIConnectionError):
        client(scenario).responses.create(model="m", input="Hi")


def test_it_drops_a_stream(client: Any) -> None:
    with (
        pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError)),
        client("drop").responses.create(model="m", input="Hi", stream=True) as stream,
    ):
        list(stream)


@pytest.mark.parametrize(
    ("scenario", "code"),
    [("sse_error", "server_is_overloaded"), ("context", "context_length_exceeded")],
)
def test_it_reports_a_failure_inside_a_stream(client: Any, scenario: str, code: str) -> None:
    with client(scenario).responses.create(model="m", input="Hi", stream=True) as stream:
        last = list(stream)[-1]
    assert last.type == "response.failed"
    assert last.response.error.code == code


def test_it_lists_models(client: Any) -> None:
    assert client("happy").models.list().data[0].id == "gpt-rehearsal"
