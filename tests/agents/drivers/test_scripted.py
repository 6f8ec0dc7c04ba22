"""The scripted driver keeps a driver's promises, so that what is tested on it means something."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.base import Connection, Endpoint, LaunchSpec
from agents.errors import AgentError
from agents.events import (
    Event,
    Failed,
    PermissionRequested,
    PermissionResolved,
    SessionStarted,
    Text,
    ToolCall,
    ToolOutput,
    ToolResult,
    TurnEnded,
    TurnStarted,
    Usage,
)
from agents.registry import driver
from agents.testing import RecordingHost


@pytest.fixture
def host(tmp_path: Path) -> RecordingHost:
    spec = LaunchSpec(
        session_id="s1", driver="scripted", cwd=str(tmp_path), home=str(tmp_path), resume="c1"
    )
    return RecordingHost(spec, tmp_path)


@asynccontextmanager
async def _started(host: RecordingHost) -> AsyncIterator[Connection]:
    connection = driver("scripted").connect(host)
    await connection.start()
    yield connection
    await connection.close()


async def _played(host: RecordingHost, script: dict[str, Any]) -> list[Event]:
    async with _started(host) as connection:
        assert await connection.say(json.dumps(script), "m1") is False
        await host.wait(lambda h: bool(h.of(TurnEnded)))
    return host.events


def test_it_is_there() -> None:
    assert driver("scripted").available(Endpoint(auth="none"), {}).ok


async def test_it_resumes_the_conversation_it_is_told(host: RecordingHost) -> None:
    async with _started(host):
        assert host.of(SessionStarted)[0].conversation_id == "c1"
        assert host.of(SessionStarted)[0].resumed


async def test_a_stream_keeps_its_rate_and_mix(host: RecordingHost) -> None:
    start = time.monotonic()
    events = await _played(host, {"rate": 100, "seconds": 0.5, "text_bytes": 300})
    assert 0.45 < time.monotonic() - start < 5
    stream = events[2:-1]
    assert len(stream) == 50
    kinds = [type(event) for event in stream[:10]]
    assert kinds == [Text, Text, Text, Text, ToolCall, ToolOutput, ToolResult, Text, Text, Usage]
    assert {len(event.text) for event in stream if isinstance(event, Text)} == {300}
    calls = [event.call_id for event in host.of(ToolCall)]
    assert calls == [event.call_id for event in host.of(ToolResult)]
    assert len(set(calls)) == 5


async def test_it_plays_given_events_word_for_word(host: RecordingHost) -> None:
    wanted: list[Event] = [Text("m", "hello"), Usage("x", output_tokens=7), Failed("limit", "no")]
    events = await _played(host, {"events": msgspec.to_builtins(wanted)})
    assert events[2:-1] == wanted


async def test_a_plain_prompt_is_answered_with_its_words(host: RecordingHost) -> None:
    async with _started(host) as connection:
        await connection.say("not { json", "m1")
        await host.wait(lambda h: bool(h.of(TurnEnded)))
    assert host.of(TurnEnded)[0].summary == "not { json"


async def test_a_question_holds_the_turn_until_it_is_answered(host: RecordingHost) -> None:
    async with _started(host) as connection:
        await connection.say('{"ask": "rm x"}', "m1")
        await host.wait(lambda h: bool(h.of(PermissionRequested)))
        with pytest.raises(AgentError):
            await connection.answer("other", "allow")
        await connection.answer(host.of(PermissionRequested)[0].request_id, "deny", "no")
        await host.wait(lambda h: bool(h.of(TurnEnded)))
    assert [r.decision for r in host.of(PermissionResolved)] == ["deny"]


async def test_an_interrupt_ends_the_turn_and_not_the_session(host: RecordingHost) -> None:
    async with _started(host) as connection:
        await connection.interrupt()  # nothing runs: nothing happens
        await connection.say('{"run": "sleep 600"}', "m1")
        await host.wait(lambda h: bool(h.of(ToolCall)))
        async with asyncio.timeout(5):
            await connection.interrupt()
        assert [e.outcome for e in host.of(TurnEnded)] == ["interrupted"]
        assert await connection.say("next", "m2") is False
        await host.wait(lambda h: len(h.of(TurnEnded)) == 2)
    assert len(host.of(TurnStarted)) == 2


async def test_a_crash_is_told_to_the_host(host: RecordingHost) -> None:
    await _played(host, {"crash": True})
    assert host.exit == (1, "The script asked for a crash.")
    assert [(f.error, f.retryable) for f in host.of(Failed)] == [("crashed", True)]


async def test_a_script_below_a_title_is_played_as_well(host: RecordingHost) -> None:
    async with _started(host) as connection:
        await connection.say('Say hello\n\n{"say": "Hello."}', "m1")
        await host.wait(lambda h: bool(h.of(TurnEnded)))
    assert [event.text for event in host.of(Text)] == ["Hello."]
