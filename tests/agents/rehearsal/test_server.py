"""The server's own life: its record, its pace, its process."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from agents.errors import AgentError
from agents.rehearsal.server import RehearsalServer

PACED = """title = "Slow"
match = ["slowly"]
tokens_per_second = 100
[[turns]]
[[turns.steps]]
say = "one two three four five six seven eight nine ten"
output_tokens = 50
"""


def body(text: str, *, stream: bool = False) -> dict[str, object]:
    return {"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]}


def test_it_records_requests_and_wakes_those_who_wait() -> None:
    with RehearsalServer() as server:
        waiter = threading.Thread(target=server.wait_for_requests, args=(1, 10))
        waiter.start()
        httpx.post(f"{server.anthropic_url()}/v1/messages", json=body("Hello"))
        waiter.join(10)
        assert not waiter.is_alive()
        (request,) = server.requests
        assert (request.protocol, request.scenario) == ("anthropic", "auto")
        assert request.body["messages"][0]["content"] == "Hello"
        with pytest.raises(TimeoutError, match="1 of 2"):
            server.wait_for_requests(2, 0.05)


def test_it_keeps_the_scenario_s_pace(tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text(PACED, "utf-8")
    arrivals: list[float] = []
    with RehearsalServer(tmp_path) as server:
        started = time.monotonic()
        url = f"{server.anthropic_url()}/v1/messages"
        with httpx.stream("POST", url, json=body("Go slowly", stream=True)) as response:
            arrivals += [time.monotonic() for line in response.iter_lines() if "_delta" in line]
    assert arrivals[-1] - started > 0.45
    assert arrivals[-1] - arrivals[0] > 0.25


def test_it_acknowledges_what_the_script_does_not_know() -> None:
    with RehearsalServer() as server:
        url = f"{server.anthropic_url('happy')}/v1/messages"
        messages = [
            {"role": "user", "content": "Do the task"},
            {"role": "assistant", "content": "Done"},
            {"role": "user", "content": "And now this\nplease"},
        ]
        answer = httpx.post(url, json=body("") | {"messages": messages}).json()
    assert "“And now this”" in answer["content"][0]["text"]


def test_it_refuses_what_is_not_json() -> None:
    with RehearsalServer() as server:
        answer = httpx.post(f"{server.openai_url('happy')}/responses", content=b"\xff\xfe")
        assert answer.status_code == 400
        assert httpx.head(f"{server.anthropic_url('happy')}/api/hello").status_code == 200
        assert "happy" in httpx.get(server.url).json()["scenarios"]


def test_it_runs_as_a_process_until_told_to_stop() -> None:
    command = [sys.executable, "-m", "agents.rehearsal"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answer = httpx.post(f"{url}/s/auto/v1/messages", json=body("Hello")).json()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert json.dumps(answer["content"][0]["text"]) == '"You said: Hello"'


def test_a_taken_port_is_named() -> None:
    with RehearsalServer() as server, pytest.raises(AgentError, match=f"Port {server.port} is not"):
        RehearsalServer(port=server.port)
