"""The Messages protocol as the official SDK reads it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from agents.rehearsal.server import RehearsalServer

TOOLS: Any = [
    {"name": name, "input_schema": {"type": "object"}} for name in ("bash", "read", "write", "edit")
]


class Client:
    """One SDK client for a scenario, without retries of its own."""

    def __init__(self, rehearsal: RehearsalServer, scenario: str, **auth: str) -> None:
        self.sdk = anthropic.Anthropic(
            base_url=rehearsal.anthropic_url(scenario),
            max_retries=0,
            timeout=10,
            **(auth or {"api_key": "sk-ant-dummy"}),  # type: ignore[arg-type]
        )

    def ask(self, messages: Any, **more: Any) -> Any:
        create = self.sdk.messages.with_raw_response.create
        return create(model="m", max_tokens=100, messages=messages, **more)


@pytest.fixture
def client(rehearsal: RehearsalServer) -> Iterator[Any]:
    clients: list[Client] = []

    def make(scenario: str, **auth: str) -> Client:
        clients.append(Client(rehearsal, scenario, **auth))
        return clients[-1]

    yield make
    for each in clients:
        each.sdk.close()


def prompt(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def test_it_plays_a_whole_turn_with_tools(client: Any) -> None:
    messages = prompt("Do the task")
    tools, said = [], []
    for _ in range(3):
        answer = client("happy").ask(messages, tools=TOOLS).parse()
        said += [block.text for block in answer.content if block.type == "text"]
        calls = [block for block in answer.content if block.type == "tool_use"]
        tools += [(call.name, call.input) for call in calls]
        results = [{"type": "tool_result", "tool_use_id": c.id, "content": "ok"} for c in calls]
        messages += [
            {"role": "assistant", "content": [block.model_dump() for block in answer.content]},
            {"role": "user", "content": results},
        ]
    assert answer.stop_reason == "end_turn"
    assert said[-1] == "All done: wrote hello.txt and committed it."
    expected = {"path": "hello.txt", "content": "hello from the rehearsal\n"}
    assert tools[0] == ("write", expected)
    assert tools[1][0] == "bash"
    assert "git commit" in tools[1][1]["command"]


def test_it_streams_text_thinking_and_tools(client: Any) -> None:
    asked: Any = {
        "model": "m",
        "max_tokens": 2000,
        "messages": prompt("Do the task"),
        "tools": TOOLS,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    with client("happy").sdk.messages.stream(**asked) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_message()
        headers = stream.response.headers
    assert [block.type for block in final.content] == ["thinking", "text", "tool_use"]
    assert final.content[2].input["path"] == "hello.txt"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (12, 63)
    assert final.usage.cache_creation_input_tokens == 1500
    assert final.usage.cache_read_input_tokens == 3600
    assert {"thinking", "text", "input_json"} <= set(events)
    assert headers["anthropic-ratelimit-requests-remaining"] == "900"


def test_it_sends_a_subscription_its_windows(client: Any) -> None:
    token = "sk-ant-oat01-dummy"
    headers = client("warn", auth_token=token).ask(prompt("Hi")).headers
    assert headers["anthropic-ratelimit-unified-status"] == "allowed_warning"
    assert headers["anthropic-ratelimit-unified-5h-utilization"] == "0.92"
    assert headers["anthropic-ratelimit-unified-7d-status"] == "allowed"
    assert headers["anthropic-ratelimit-unified-representative-claim"] == "five_hour"
    assert "anthropic-ratelimit-requests-limit" not in headers


@pytest.mark.parametrize(
    ("scenario", "error", "status"),
    [
        ("429", anthropic.RateLimitError, 429),
        ("529", anthropic.InternalServerError, 529),
        ("overloaded", anthropic.InternalServerError, 529),
        ("500", anthropic.InternalServerError, 500),
        ("503", anthropic.InternalServerError, 503),
        ("401", anthropic.AuthenticationError, 401),
        ("403", anthropic.PermissionDeniedError, 403),
        ("400", anthropic.BadRequestError, 400),
        ("context", anthropic.BadRequestError, 400),
        ("limited", anthropic.RateLimitError, 429),
    ],
)
def test_it_fails_with_a_status(client: Any, scenario: str, error: Any, status: int) -> None:
    with pytest.raises(error) as caught:
        client(scenario).ask(prompt("Hi"))
    assert caught.value.status_code == status
    if scenario in {"429", "limited"}:
        assert int(caught.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize("scenario", ["drop_early", "refuse"])
def test_it_closes_the_connection_unanswered(client: Any, scenario: str) -> None:
    with pytest.raises(anthropic.APIConnectionError):
        client(scenario).ask(prompt("Hi"))


def read_stream(client: Any, scenario: str, text: str) -> str:
    asked: Any = {"model": "m", "max_tokens": 100, "messages": prompt(text)}
    with client(scenario).sdk.messages.stream(**asked) as stream:
        return "".join(stream.text_stream)


def test_it_drops_every_stream_and_answers_without(client: Any) -> None:
    for _ in range(2):
        with pytest.raises(httpx2.RemoteProtocolError):
            read_stream(client, "drop", "Hi")
    assert client("drop").ask(prompt("Hi")).parse().content[0].text.startswith("This is")


def test_it_drops_one_stream_for_each_conversation(client: Any) -> None:
    for text in ("Hi", "Ho"):
        with pytest.raises(httpx2.RemoteProtocolError):
            read_stream(client, "dropx1", text)
    assert read_stream(client, "dropx1", "Hi").endswith("cut in two.")


def test_it_reports_an_error_inside_a_stream(client: Any) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        read_stream(client, "sse_error", "Hi")
    assert "Overloaded" in str(caught.value)


@pytest.mark.slow
def test_a_limit_lifts_by_itself(rehearsal: RehearsalServer, client: Any) -> None:
    call = {"type": "tool_use", "id": "toolu_t0s0n0_x", "name": "write", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_t0s0n0_x", "content": "ok"}
    messages = [
        *prompt("Do the task"),
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    with pytest.raises(anthropic.RateLimitError) as caught:
        client("limited_briefly").ask(messages)
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 4
    patient = anthropic.Anthropic(
        base_url=rehearsal.anthropic_url("limited_briefly"), api_key="k", max_retries=2, timeout=10
    )
    with patient:
        answer = patient.messages.create(model="m", max_tokens=9, messages=messages)  # type: ignore[arg-type]
    assert answer.content[0].type == "text"


async def test_a_client_that_leaves_a_stalled_stream_is_let_go(rehearsal: RehearsalServer) -> None:
    url = rehearsal.anthropic_url("stall")
    async with anthropic.AsyncAnthropic(base_url=url, api_key="k", timeout=10) as sdk:
        asked: Any = {"model": "m", "max_tokens": 9, "messages": prompt("Hi")}
        async with asyncio.timeout(10), sdk.messages.stream(**asked) as stream:
            async for text in stream.text_stream:
                assert text
                break


def test_it_counts_tokens_and_lists_models(client: Any) -> None:
    sdk = client("happy").sdk
    counted = sdk.messages.count_tokens(model="m", messages=prompt("Hi " * 100))
    assert counted.input_tokens > 50
    assert sdk.models.list().data[0].id == "claude-rehearsal"


def test_an_unknown_scenario_is_named(client: Any) -> None:
    with pytest.raises(anthropic.NotFoundError, match="no scenario 'nowhere'"):
        client("nowhere").ask(prompt("Hi"))
