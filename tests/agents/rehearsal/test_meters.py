"""Windows that climb as tokens are sent, each credential its own, and what was counted."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agents.rehearsal.accounts import Account, Meters, Window
from agents.rehearsal.counts import Tokens
from agents.rehearsal.scenario import Limits
from agents.rehearsal.server import RehearsalServer

CALL = 12 + 1500 + 3600  # tokens in, of the default scenario
ONE, TWO = "sk-ant-oat01-one", "sk-ant-oat01-two"
ACCOUNTS = {
    ONE: Account(limits=Limits(five_hour_percent=50, five_hour_tokens=20_000)),
    TWO: Account(limits=Limits(five_hour_percent=10, seven_day_tokens=100_000), plan="plus"),
}


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    with RehearsalServer(accounts=ACCOUNTS) as server:
        yield server


def say(server: RehearsalServer, token: str, *, stream: bool = False) -> httpx2.Response:
    body = {
        "model": "m",
        "stream": stream,
        "messages": [{"role": "user", "content": "hello"}],
        "tools": [{"name": "t"}],
    }
    return httpx2.post(
        f"{server.anthropic_url('echo')}/v1/messages",
        json=body,
        headers={"authorization": f"Bearer {token}"},
        timeout=20,
    )


def meter(server: RehearsalServer, token: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}"}
    told: dict[str, Any] = httpx2.get(f"{server.url}/api/oauth/usage", headers=headers).json()
    return told


def test_a_window_climbs_refuses_and_starts_anew() -> None:
    limits = Limits(five_hour_percent=50, five_hour_tokens=1000, five_hour_resets_in_seconds=1)
    meters = Meters({})
    (five, seven) = meters.windows("who", limits, None)
    assert (five.percent, seven.percent) == (50, 41)
    meters.spend("who", limits, 250)
    assert meters.windows("who", limits, None)[0].percent == 75
    assert meters.windows("another", limits, None)[0].percent == 50
    assert meters.refusal("who", limits) is None
    meters.spend("who", limits, 300)
    refused = meters.refusal("who", limits)
    assert refused is not None
    assert refused.reset_at == meters.windows("who", limits, refused)[0].reset_at
    assert meters.windows("who", limits, refused)[0].percent == 100
    time.sleep(max(0, refused.reset_at - time.time()) + 0.01)
    assert meters.refusal("who", limits) is None
    assert meters.windows("who", limits, None)[0].percent == 0


def test_limits_without_tokens_stand_still() -> None:
    meters = Meters({})
    meters.spend("who", Limits(), 1_000_000)
    windows = meters.windows("who", Limits(), None)
    assert [window.percent for window in windows] == [31, 41]
    assert all(isinstance(window, Window) for window in windows)


@pytest.mark.parametrize("stream", [False, True])
def test_each_credential_has_windows_of_its_own(server: RehearsalServer, stream: bool) -> None:
    first = say(server, ONE, stream=stream)
    prefix = "anthropic-ratelimit-unified"
    assert first.headers[f"{prefix}-5h-utilization"] == "0.5"
    output = server.counted[(ONE, "m")].output
    spent = 100 * (CALL + output) / 20_000
    assert meter(server, ONE)["five_hour"]["utilization"] == round(50 + spent, 2)
    assert meter(server, TWO)["five_hour"]["utilization"] == 10
    say(server, ONE, stream=stream)
    refused = say(server, ONE, stream=stream)
    assert refused.status_code == 429
    assert refused.headers[f"{prefix}-status"] == "rejected"
    assert say(server, TWO, stream=stream).status_code == 200
    assert meter(server, ONE)["five_hour"]["utilization"] == 100
    assert meter(server, TWO)["seven_day"]["utilization"] > 41


def test_what_was_sent_is_counted_by_credential_and_model(server: RehearsalServer) -> None:
    assert server.counted == {}
    whole = say(server, ONE).json()["usage"]["output_tokens"]
    say(server, ONE, stream=True)
    assert server.counted == {(ONE, "m"): Tokens(2 * whole, 24, 3000, 7200)}
    assert server.cut == {}


def test_a_call_that_broke_off_is_counted_apart(server: RehearsalServer) -> None:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    with pytest.raises(httpx2.HTTPError):
        httpx2.post(
            f"{server.anthropic_url('drop')}/v1/messages",
            json=body | {"tools": [{"name": "t"}]},
            headers={"x-api-key": "key"},
            timeout=20,
        )
    assert server.counted == {}
    assert server.cut == {("key", "m"): Tokens(1, 12, 1500, 3600)}


def test_an_exhausted_account_of_a_scenario_says_so_at_its_meter(tmp_path: Path) -> None:
    with RehearsalServer(tmp_path) as server:
        headers = {"authorization": f"Bearer {ONE}"}
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [{}]}
        url = f"{server.anthropic_url('limited')}/v1/messages"
        assert httpx2.post(url, json=body, headers=headers).status_code == 429
        assert meter(server, ONE)["five_hour"]["utilization"] == 100


def test_a_meter_knows_nobody_without_a_credential(server: RehearsalServer) -> None:
    assert httpx2.get(f"{server.url}/api/oauth/usage").status_code == 401
    headers = {"authorization": "Bearer x", "chatgpt-account-id": TWO}
    told = httpx2.get(f"{server.url}/backend-api/wham/usage", headers=headers).json()
    assert told["plan_type"] == "plus"
    assert told["rate_limit"]["primary_window"]["used_percent"] == 10
    assert told["rate_limit"]["primary_window"]["limit_window_seconds"] == 18_000
