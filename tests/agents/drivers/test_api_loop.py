"""What the API agents' loop promises beyond the contracts, for both protocols."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents import sandbox
from agents.base import Endpoint, LaunchSpec, Sandbox
from agents.conformance.looking import answer_all, gone, refused, sleeping_below
from agents.errors import CommandRefused, VendorError
from agents.events import (
    Failed,
    Notice,
    PermissionRequested,
    Quota,
    Retrying,
    SessionStarted,
    Text,
    ToolCall,
    ToolResult,
    TurnEnded,
    utc_now,
)
from agents.registry import driver
from agents.rehearsal.server import RehearsalServer
from agents.testing import DriverCase, RecordingHost, Stage
from tests.agents.drivers.api_cases import MESSAGES, RESPONSES

CASES = [pytest.param(case, id=case.driver_id) for case in (MESSAGES, RESPONSES)]


@pytest.fixture(params=CASES)
def stage(
    request: pytest.FixtureRequest, rehearsal: RehearsalServer, tmp_path: Path, git_worktree: Path
) -> Stage:
    del git_worktree
    return Stage(request.param, rehearsal, tmp_path)


def changed(stage: Stage, scenario: str, **env: str) -> dict[str, Any]:
    return {"env": {**stage.spec(scenario).env, **env}}


def stored(stage: Stage) -> Path:
    return next((stage.tmp / "home/conversations").iterdir())


async def test_it_interrupts_a_silent_stream_and_keeps_the_words(stage: Stage) -> None:
    async with stage.session("stall") as live:
        await live.say("begin")
        await live.until(Text)
        before = time.monotonic()
        await live.connection.interrupt()
        assert time.monotonic() - before < 2
        assert live.host.of(TurnEnded)[0].outcome == "interrupted"
        said = "".join(piece.text for piece in live.host.of(Text))
    assert json.dumps(said.strip())[1:-1] in stored(stage).read_text()
    conversation = live.host.of(SessionStarted)[0].conversation_id
    async with stage.session("echo", resume=conversation) as live:
        assert (await live.turn("go on")).outcome == "completed"
        assert said.strip() in stage.requests[-1]


async def test_it_interrupts_a_back_off(stage: Stage) -> None:
    slow = changed(stage, "529", QUARTERDECK_API_RETRY_SECONDS="60")
    async with stage.session("529", **slow) as live:
        await live.say()
        assert 40 < (await live.until(Retrying)).delay_seconds < 80
        await live.connection.interrupt()
        assert (await live.end(seconds=1)).outcome == "interrupted"
        assert not live.host.of(Failed)


async def test_it_interrupts_at_once(stage: Stage) -> None:
    async with stage.session("happy") as live:
        await live.say()
        await live.connection.interrupt()
        assert (await live.end(seconds=1)).outcome == "interrupted"


async def test_it_starts_a_turn_with_what_an_interrupt_left_unheard(stage: Stage) -> None:
    async with stage.session("interrupt") as live:
        await live.say()
        await live.until(ToolCall)
        assert await live.say("do-this-instead")
        await live.connection.interrupt()
        assert (await live.end()).outcome == "interrupted"
        ended = await live.end(1)
        assert ended.outcome == "completed"
        assert "do-this-instead" in ended.summary


async def test_it_delivers_after_a_restart_what_was_said_before(stage: Stage) -> None:
    async with stage.session("interrupt") as live:
        await live.say("the-task")
        await live.until(ToolCall)
        assert await live.say("said-too-late")
        conversation = live.host.of(SessionStarted)[0].conversation_id
    assert live.host.of(TurnEnded)[-1].outcome == "interrupted"
    async with stage.session("echo", resume=conversation) as live:
        await live.turn("and-now")
        for words in ("the-task", "said-too-late", "and-now"):
            assert words in stage.requests[-1]


async def test_it_remembers_an_allowance(stage: Stage) -> None:
    async with stage.session("ask", permissions="ask") as live:
        await live.say()
        await live.until(PermissionRequested)
        while not live.host.of(TurnEnded):
            await answer_all(live, "allow_always")
        command = str(live.host.of(ToolCall)[0].input["command"])
        assert command in live.connection._allowed  # type: ignore[attr-defined]
        assert (stage.tmp / "worktree/asked.txt").read_text() == "asked"


async def test_it_does_not_run_what_was_denied(stage: Stage) -> None:
    async with stage.session("ask", permissions="ask") as live:
        await live.say()
        asked = await live.until(PermissionRequested)
        assert asked.call_id == live.host.of(ToolCall)[0].call_id
        await live.connection.answer(asked.request_id, "deny", "not on a Sunday")
        await live.end()
        assert not (stage.tmp / "worktree/asked.txt").exists()
        assert "not on a Sunday" in stage.requests[-1]


async def test_it_tells_when_a_limit_ends(stage: Stage) -> None:
    async with stage.session("limited") as live:
        ended = await live.turn()
        assert ended.resets_at is not None
        assert timedelta(0) < ended.resets_at - utc_now() <= timedelta(seconds=3601)
        assert not live.host.of(Retrying)
        assert live.host.of(Quota)[-1].status == "rejected"


async def test_it_tells_the_windows_of_a_key(stage: Stage) -> None:
    async with stage.session("echo") as live:
        await live.turn("hello")
        windows = {window.kind: window for window in live.host.of(Quota)[0].windows}
    assert windows["requests_per_minute"].used_percent == 10
    assert windows["requests_per_minute"].window_minutes == 1
    reset = windows["requests_per_minute"].resets_at
    assert reset is not None
    assert abs(reset - utc_now()) < timedelta(minutes=5)


async def test_it_gives_up_after_its_retries(stage: Stage) -> None:
    async with stage.session("500") as live:
        await live.turn()
        told = live.host.of(Retrying)
        assert [retry.attempt for retry in told] == [1, 2, 3]
        assert {retry.max_attempts for retry in told} == {3}


async def test_it_waits_as_long_as_it_is_told(stage: Stage) -> None:
    async with stage.session("429x2") as live:
        before = time.monotonic()
        await live.turn()
        delays = [retry.delay_seconds for retry in live.host.of(Retrying)]
        assert time.monotonic() - before >= sum(delays) >= 2


async def test_it_stops_at_the_step_limit(stage: Stage) -> None:
    async with stage.session("happy", **changed(stage, "happy", QUARTERDECK_API_STEPS="1")) as live:
        assert (await live.turn()).outcome == "interrupted"
        assert "Stopped after 1 model calls" in live.host.of(Notice)[-1].text
        assert len(live.host.of(ToolResult)) == 1
        assert (await live.turn("go on")).outcome == "interrupted"  # still a valid conversation
        assert not live.host.of(Failed)


async def test_it_refuses_empty_words_and_a_closed_session(stage: Stage) -> None:
    async with stage.session("echo") as live:
        with pytest.raises(CommandRefused, match="empty"):
            await live.say("  \n")
        await refused(live.connection.answer("nothing", "allow"))
    with pytest.raises(CommandRefused, match="not running"):
        await live.say("hello")
    await live.connection.close()


async def test_it_takes_a_megabyte_of_prompt(stage: Stage) -> None:
    async with stage.session("echo") as live:
        assert (await live.turn("word " * 200_000)).outcome == "completed"


@pytest.mark.parametrize("conversation", ["never-was", "../../etc/passwd", "x" * 100])
async def test_it_says_what_it_cannot_resume(stage: Stage, conversation: str) -> None:
    with pytest.raises(VendorError, match="conversation") as raised:
        async with stage.session("echo", resume=conversation):
            pass
    assert raised.value.kind == "invalid"


async def test_it_resumes_only_its_own_protocol(stage: Stage) -> None:
    async with stage.session("echo") as live:
        await live.turn("hello")
        conversation = live.host.of(SessionStarted)[0].conversation_id
    other = RESPONSES if stage.case is MESSAGES else MESSAGES
    with pytest.raises(VendorError, match=stage.case.driver_id):
        async with Stage(other, stage.rehearsal, stage.tmp).session("echo", resume=conversation):
            pass


async def test_it_follows_no_link_out_of_the_home(stage: Stage) -> None:
    elsewhere = stage.tmp / "elsewhere"
    elsewhere.mkdir()
    (stage.tmp / "home").mkdir()
    (stage.tmp / "home/conversations").symlink_to(elsewhere)
    with pytest.raises(VendorError, match="can't be saved"):
        async with stage.session("echo"):
            pass
    assert not list(elsewhere.iterdir())


async def test_it_tells_the_repositorys_notes_but_none_from_outside(stage: Stage) -> None:
    (stage.tmp / "secret").write_text("outside-words")
    (stage.tmp / "worktree/CLAUDE.md").symlink_to(stage.tmp / "secret")
    (stage.tmp / "worktree/AGENTS.md").write_text("inside-words\n")
    async with stage.session("echo", instructions="persona-words") as live:
        await live.turn("hello")
    assert "inside-words" in stage.requests[-1]
    assert "persona-words" in stage.requests[-1]
    assert "outside-words" not in stage.requests[-1]


async def test_it_names_the_variable_that_is_not_set(stage: Stage) -> None:
    found = driver(stage.case.driver_id)
    name = found.capabilities.api_key_env
    assert name in found.available(Endpoint(auth="api_key"), {}).problem
    assert found.available(Endpoint(auth="api_key"), {name: "x"}).ok
    assert found.available(Endpoint(auth="none", base_url="http://127.0.0.1:1"), {}).ok
    assert "OTHER" in found.available(Endpoint(secret_env="OTHER"), {name: "x"}).problem
    keyless = DriverCase(stage.case.driver_id, stage.case.spec, secret="")
    with pytest.raises(VendorError, match="REHEARSED_KEY is not set") as raised:
        async with Stage(keyless, stage.rehearsal, stage.tmp).session("echo"):
            pass
    assert raised.value.kind == "auth"


async def test_it_works_without_a_key(stage: Stage) -> None:
    endpoint = msgspec.structs.replace(stage.spec("happy").endpoint, secret_env="", auth="none")
    async with stage.session("happy", endpoint=endpoint) as live:
        assert (await live.turn()).outcome == "completed"


async def test_it_reports_a_service_that_is_not_there(stage: Stage) -> None:
    endpoint = msgspec.structs.replace(
        stage.spec("happy").endpoint, base_url="http://127.0.0.1:1/v1"
    )
    async with stage.session("happy", endpoint=endpoint) as live:
        ended = await live.turn()
        assert (ended.outcome, ended.error) == ("failed", "network")


class BoxedHost(RecordingHost):
    """Its commands run in the real sandbox."""

    def command(self, argv: list[str]) -> list[str]:
        return sandbox.wrap(argv, self.spec)


async def test_it_works_in_the_sandbox(stage: Stage) -> None:
    if not sandbox.available().ok:
        pytest.skip(sandbox.available().problem)
    spec = msgspec.structs.replace(
        stage.spec("happy"), sandbox=Sandbox(hidden=[str(stage.tmp)]), permissions="auto"
    )
    host = BoxedHost(spec, stage.tmp, "rehearsed")
    connection = driver(spec.driver).connect(host)
    await connection.start()
    try:
        await connection.say("Do the task.", "one")
        await host.wait(lambda host: bool(host.of(TurnEnded)))
        assert host.of(TurnEnded)[0].outcome == "completed"
        assert not any(result.is_error for result in host.of(ToolResult))
    finally:
        await connection.close()


_RUNNER = """
import asyncio, sys
from pathlib import Path
import msgspec
from agents.base import LaunchSpec
from agents.registry import driver
from agents.testing import RecordingHost
from agents.events import ToolOutput, ToolCall

async def main():
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=LaunchSpec)
    host = RecordingHost(spec, Path(spec.home), "rehearsed")
    connection = driver(spec.driver).connect(host)
    await connection.start()
    await connection.say("before-the-kill", "one")
    await host.wait(lambda host: bool(host.of(ToolCall)))
    print(host.events[0].conversation_id, flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""


def crash(spec: LaunchSpec) -> str:
    """Run a session in a process of its own until its tool runs, and kill -9 it; its id."""
    process = subprocess.Popen(
        [sys.executable, "-c", _RUNNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(spec))
        process.stdin.close()
        conversation = process.stdout.readline().decode().strip()
        process.send_signal(signal.SIGKILL)
    return conversation


async def test_it_resumes_after_kill_9_of_its_process(stage: Stage) -> None:
    conversation = await asyncio.to_thread(crash, stage.spec("interrupt"))
    await gone(sleeping_below(stage.tmp))
    items = json.loads(stored(stage).read_text())["items"]
    assert "interrupted before it finished" not in json.dumps(items)
    async with stage.session("interrupt", resume=conversation) as live:
        assert live.host.of(SessionStarted)[0].resumed
        ended = await live.turn("after-the-kill")
        assert ended.outcome == "completed"
        assert "before-the-kill" in stage.requests[-1]
        assert "interrupted before it finished" in stage.requests[-1]


@pytest.mark.parametrize("setting", ["QUARTERDECK_API_RETRIES", "QUARTERDECK_API_STEPS"])
async def test_it_refuses_a_wrong_setting(stage: Stage, setting: str) -> None:
    with pytest.raises(VendorError, match="QUARTERDECK_API_"):
        async with stage.session("echo", **changed(stage, "echo", **{setting: "many"})):
            pass
