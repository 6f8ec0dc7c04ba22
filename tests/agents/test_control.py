"""The control socket: answers, refusals, and watchers that are told of every growth."""

import asyncio
import socket
from pathlib import Path

import msgspec
import pytest

from agents import control
from agents.errors import CommandRefused, RunnerUnreachable
from agents.events import TurnEnded, UserMessage
from agents.launch import is_running
from tests.agents.sessions import Session


async def _raw(directory: Path, line: bytes) -> bytes:
    async with control._connected(directory) as (reader, writer):
        writer.write(line)
        return await asyncio.wait_for(reader.readline(), 10)


async def test_it_tells_the_state(session: Session) -> None:
    pid = session.launch({"hang": True})
    await session.wait(lambda: len(session.records()) >= 3)
    status = await session.request("status")
    assert status["pid"] == pid
    assert status["state"] == "running"
    assert status["conversation"] == f"scripted-{session.id}"
    assert status["size"] == (session.dir / "journal.ndjson").stat().st_size


async def test_a_path_longer_than_a_sockets_name_is_no_problem(tmp_path: Path) -> None:
    session = Session(tmp_path / ("long" * 30) / "ünïcode with spaces", "long-path")
    try:
        session.launch()
        assert len(str(session.dir)) > 150
        assert (await session.request("status"))["seq"] is not None
        await session.stop()
    finally:
        session.bury()


async def test_only_this_user_may_connect(session: Session) -> None:
    session.launch()
    assert (session.dir / "control.sock").stat().st_mode & 0o777 == 0o600


async def test_a_session_without_a_runner_is_unreachable(session: Session) -> None:
    with pytest.raises(RunnerUnreachable):
        await session.request("status")
    with pytest.raises(RunnerUnreachable):
        await control.request(session.dir / "nowhere", "status")
    with pytest.raises(RunnerUnreachable):
        async for _ in control.watch(session.dir):
            pass
    session.launch()
    session.kill()  # the socket's file stays, nobody listens
    assert (session.dir / "control.sock").exists()
    with pytest.raises(RunnerUnreachable):
        await session.request("status")


async def test_a_runner_that_does_not_answer_is_unreachable(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(session.dir)  # a socket's path holds 107 bytes
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind("control.sock")
        deaf.listen()
        with pytest.raises(RunnerUnreachable, match=r"within 0\.05 s"):
            await control.request(session.dir, "status", timeout_seconds=0.05)


@pytest.mark.parametrize(
    ("op", "fields"),
    [
        ("dance", {}),
        ("say", {"text": "no id"}),
        ("say", {"message_id": "m", "text": "  "}),
        ("say", {"message_id": "m", "text": "hi", "origin": "nobody"}),
        ("answer", {"request_id": "q", "decision": "allow"}),
        ("answer", {"request_id": "q", "decision": "perhaps"}),
    ],
)
async def test_it_refuses_what_makes_no_sense(
    session: Session, op: str, fields: dict[str, object]
) -> None:
    session.launch()
    with pytest.raises(CommandRefused):
        await session.request(op, **fields)
    assert (await session.request("status"))["state"] == "ready"
    await session.stop()


async def test_garbage_gets_an_answer_and_harms_nobody(session: Session) -> None:
    session.launch()
    for line in (b"\xff\xfe\n", b"[]\n", b'{"op":1}\n', b"\n", b"{" * 10_000 + b"\n"):
        answer = msgspec.json.decode(await _raw(session.dir, line))
        assert answer["ok"] is False
    assert b"at most 16 MB" in await _raw(session.dir, b"x" * 17_000_000 + b"\n")
    assert (await session.request("status"))["state"] == "ready"


async def test_a_megabyte_of_prompt_goes_through(session: Session) -> None:
    session.launch()
    await session.request("say", message_id="big", text="ä" * 500_000)
    await session.wait_for(TurnEnded)
    assert session.of(UserMessage)[0].text.startswith("ä" * 1000)


async def test_a_message_is_said_once_whoever_repeats_it(session: Session) -> None:
    session.launch()
    said = [session.request("say", message_id="m1", text="hello") for _ in range(5)]
    answers = await asyncio.gather(*said)
    assert sorted(bool(answer["duplicate"]) for answer in answers) == [
        False,
        True,
        True,
        True,
        True,
    ]
    await session.wait_for(TurnEnded)
    session.kill()
    session.launch()
    assert (await session.request("say", message_id="m1", text="hello"))["duplicate"] is True
    assert len(session.of(UserMessage)) == len(session.of(TurnEnded)) == 1


async def test_watchers_see_every_size_and_the_end(session: Session) -> None:
    session.launch({"rate": 100, "seconds": 0.5})

    async def watched() -> list[int]:
        return [size async for size in control.watch(session.dir)]

    watchers = [asyncio.create_task(watched()) for _ in range(3)]
    await session.wait_for(TurnEnded)
    await session.stop()
    for sizes in await asyncio.gather(*watchers):
        assert sizes == sorted(set(sizes))
        assert sizes[-1] == (session.dir / "journal.ndjson").stat().st_size
    assert not is_running(session.dir) or not (session.dir / "control.sock").exists()


async def test_a_watcher_that_leaves_or_sleeps_disturbs_nobody(session: Session) -> None:
    session.launch()
    async with control._connected(session.dir) as (_, sleeper):
        sleeper.write(b'{"op":"watch"}\n')  # and never reads
        for _ in range(20):
            async with control._connected(session.dir) as (reader, writer):
                writer.write(b'{"op":"watch"}\n')
                await reader.readline()
        await session.request("say", message_id="m", text='{"rate": 500, "seconds": 0.4}')
        await session.wait_for(TurnEnded)
        await session.stop()


async def test_a_killed_runner_ends_its_watchers(session: Session) -> None:
    session.launch()
    sizes = control.watch(session.dir)
    await anext(sizes)
    session.kill()
    async with asyncio.timeout(5):
        rest = [size async for size in sizes]
    assert len(rest) <= 1
