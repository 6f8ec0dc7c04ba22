"""A runner's life: turns, questions, crashes, kills; always a last record, never an orphan."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents import reaper, sandbox
from agents.errors import CommandRefused
from agents.events import (
    Exited,
    Failed,
    Notice,
    PermissionRequested,
    PermissionResolved,
    SessionStarted,
    Text,
    ToolResult,
    TurnEnded,
    TurnStarted,
    UserMessage,
)
from agents.journal import read_after
from agents.launch import is_running
from tests.agents.sessions import Session

boxes = pytest.mark.parametrize(
    "boxed",
    [
        False,
        pytest.param(
            True, marks=pytest.mark.skipif(not sandbox.available().ok, reason="no bubblewrap")
        ),
    ],
)


async def test_it_plays_a_prompt_and_stops_when_told(session: Session) -> None:
    session.launch({"say": "done"}, prompt_id="p1")
    await session.wait_for(TurnEnded)
    await session.stop()
    kinds = [type(event) for event in session.events()]
    assert kinds == [SessionStarted, UserMessage, TurnStarted, Text, TurnEnded, Exited]
    assert session.of(UserMessage)[0].message_id == "p1"
    assert session.of(UserMessage)[0].origin == "task"
    assert session.of(Exited) == [Exited("stopped")]
    assert session.exit()["reason"] == "stopped"
    assert not (session.dir / "control.sock").exists()


async def test_each_record_points_to_its_vendor_line(session: Session) -> None:
    session.launch({"say": "done"})
    await session.wait_for(TurnEnded)
    vendor = (session.dir / "vendor.ndjson").read_bytes()
    for record in session.records():
        if record.raw is not None:
            line = vendor[record.raw :].split(b"\n")[0]
            assert json.loads(line)["kind"] == type(record.event).__struct_config__.tag


async def test_a_message_during_a_turn_steers_it(session: Session) -> None:
    session.launch({"hang": True})
    await session.wait_for(TurnStarted)
    answer = await session.request("say", message_id="m1", text="left a bit", origin="human")
    assert answer["steered"] is True
    assert session.of(UserMessage)[1].steered
    assert (await session.request("interrupt"))["turn"]
    ended = await session.wait_for(TurnEnded)
    assert ended.outcome == "interrupted"
    await session.request("say", message_id="m2", text="again")
    assert (await session.wait_for(TurnEnded, 2)).outcome == "completed"


async def test_a_question_waits_for_its_one_answer(session: Session) -> None:
    session.launch({"ask": "rm -rf build"})
    asked = await session.wait_for(PermissionRequested)
    assert (await session.request("status"))["asked"] == [asked.request_id]
    answers = [
        session.request("answer", request_id=asked.request_id, decision=decision)
        for decision in ("allow", "deny")
    ]
    results = await asyncio.gather(*answers, return_exceptions=True)
    assert [isinstance(result, CommandRefused) for result in results].count(True) == 1
    await session.wait_for(TurnEnded)
    assert len(session.of(PermissionResolved)) == 1


async def test_commands_run_with_the_agents_environment(session: Session) -> None:
    session.launch({"run": "pwd; test -z $NOTHING; exit 3"})
    assert (await session.wait_for(ToolResult)).exit_code == 3


@pytest.mark.parametrize("error", ["limit", "auth", "throttle"])
async def test_a_failed_turn_leaves_the_session_usable(session: Session, error: str) -> None:
    session.launch({"fail": error})
    ended = await session.wait_for(TurnEnded)
    assert (ended.outcome, ended.error) == ("limited" if error == "limit" else "failed", error)
    assert (await session.request("status"))["state"] == "ready"


async def test_a_crash_of_the_vendor_is_the_last_word(session: Session) -> None:
    session.launch({"crash": True})
    ended = await session.wait_for(Exited)
    assert (ended.reason, ended.exit_code) == ("crashed", 1)
    assert [failed.error for failed in session.of(Failed)] == ["crashed"]
    assert session.exit()["reason"] == "crashed"


async def test_a_bug_in_a_driver_is_told_and_never_a_silent_death(session: Session) -> None:
    session.launch({"bug": True}, {"KEY": "asked for a bug"})
    ended = await session.wait_for(Exited)
    assert ended.reason == "crashed"
    assert "RuntimeError" in ended.message
    log = (session.dir / "runner.log").read_text()
    assert "Traceback" in log
    assert "asked for a bug" not in log


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"driver": "nobody"}, "known drivers are"),
        ({"cwd": "/nowhere/at/all", "prompt": '{"run": "true"}'}, "/nowhere/at/all"),
    ],
)
async def test_a_session_that_cannot_begin_says_why(
    session: Session, changes: dict[str, str], said: str
) -> None:
    session.launch(**changes)  # type: ignore[arg-type]
    ended = await session.wait_for(Exited)
    assert ended.reason == "crashed"
    assert said in ended.message
    assert said in session.of(Failed)[0].message


async def test_terminate_is_a_graceful_stop(session: Session) -> None:
    pid = session.launch({"hang": True})
    await session.wait_for(TurnStarted)
    os.kill(pid, signal.SIGTERM)
    assert (await session.wait_for(Exited)).reason == "stopped"


async def test_silence_in_a_turn_is_told_once(session: Session) -> None:
    session.launch({"hang": True}, silence_seconds=0.2)
    await session.wait_for(Notice)
    await session.request("say", message_id="m", text="hello?")
    await session.wait_for(Notice, 2)
    # Between turns, and while the human is asked, silence is nobody's fault.
    await session.request("interrupt")
    await session.request("say", message_id="q", text='{"ask": "may I?"}')
    await session.wait_for(PermissionRequested)
    await asyncio.sleep(0.5)
    assert len(session.of(Notice)) == 2
    assert "nothing for" in session.of(Notice)[0].text


# --- nothing survives a session -----------------------------------------------------------------


def _marks(session: Session) -> int:
    return len(reaper.marked(session.id))


async def _with_orphan(session: Session, boxed: bool) -> None:
    waits = "while [ ! -s orphan.pid ]; do sleep 0.01; done"
    session.launch({"spawn_orphan": True, "run": waits, "hang": True}, boxed=boxed)
    await session.wait_for(ToolResult)
    assert _marks(session) >= 3


@boxes
async def test_an_orphan_that_called_setsid_is_gone_after_stop(
    session: Session, boxed: bool
) -> None:
    await _with_orphan(session, boxed)
    await session.stop()
    assert _marks(session) == 0


@boxes
async def test_kill_9_of_the_runner_leaves_nothing_once_buried(
    session: Session, boxed: bool
) -> None:
    await _with_orphan(session, boxed)
    await asyncio.to_thread(_kill_and_bury, session, boxed)
    assert _marks(session) == 0
    assert reaper.kill_marked(session.id) == 0


def _kill_and_bury(session: Session, boxed: bool) -> None:
    pids, table = reaper.marked(session.id), reaper.processes()
    living = [table[pid] for pid in pids]
    session.kill()
    if boxed:  # the kernel does it alone
        reaper._wait_gone(living, 10)
        assert _marks(session) == 0
    else:
        assert _marks(session) > 0
        assert reaper.kill_marked(session.id) == len(living)


async def test_a_killed_session_resumes_where_it_was(session: Session) -> None:
    session.launch({"rate": 200, "seconds": 60}, prompt_id="p1")
    await session.wait(lambda: len(session.records()) > 30)
    session.kill()
    assert not is_running(session.dir)
    killed_at = session.records()[-1].seq
    conversation = session.of(SessionStarted)[0].conversation_id
    session.launch(resume=conversation)
    await session.request("say", message_id="m2", text="go on")
    await session.wait_for(TurnEnded)
    await session.stop()
    records = session.records()
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert records[killed_at].event == session.of(SessionStarted)[1]
    assert session.of(SessionStarted)[1].resumed
    assert session.of(SessionStarted)[1].conversation_id == conversation


async def _survives_kill(session: Session, number: int) -> None:
    """Kill a runner in mid-stream; what watchers were told of is there, whole and in order."""
    session.launch({"rate": 2000, "seconds": 60, "text_bytes": 40 * (number % 20 + 1)})
    start = (session.dir / "journal.ndjson").stat().st_size
    await session.wait(
        lambda: (session.dir / "journal.ndjson").stat().st_size > start + 1500 * (number % 7 + 1)
    )
    told = int(str((await session.request("status"))["size"]))
    await asyncio.to_thread(session.kill)
    lines, end = read_after(session.dir / "journal.ndjson", 0, 1_000_000_000)
    assert end >= told
    assert [record.seq if record else None for _, record, _ in lines] == list(
        range(1, len(lines) + 1)
    )


async def test_kill_9_in_mid_stream_keeps_the_journal_whole(session: Session) -> None:
    for number in range(3):
        await _survives_kill(session, number)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_kill_9_in_mid_stream_20_times(session: Session) -> None:
    for number in range(20):
        await _survives_kill(session, number)


# --- what it costs ------------------------------------------------------------------------------


def test_a_runner_loads_nothing_heavy() -> None:
    heavy = "httpx pydantic sqlmodel fastapi anthropic openai git typer rich app"
    code = f"import sys, agents.runner; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_runner_is_small(session: Session) -> None:
    pid = session.launch()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    pss_kilobytes = int(
        next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]
    )
    assert pss_kilobytes < 40_000
