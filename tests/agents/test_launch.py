"""Starting runners: once, detached, with nothing secret where others can read it."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from agents import reaper
from agents.base import LaunchSpec
from agents.errors import AgentError, SessionAlreadyRunning
from agents.events import Exited, TurnEnded
from agents.launch import holder, is_running, launch, run_of
from tests.agents.sessions import Session


def _shown(pid: int) -> bytes:
    """What the process list shows of a process."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline"))


async def test_it_starts_a_detached_runner_and_says_its_pid(session: Session) -> None:
    pid = session.launch()
    assert is_running(session.dir)
    assert holder(session.dir) == pid
    assert os.getsid(pid) == pid
    assert reaper.processes()[pid].ppid != os.getpid()
    run = run_of(session.dir)
    assert run is not None
    assert reaper.is_alive(run)
    spec = msgspec.json.decode((session.dir / "spec.json").read_bytes(), type=LaunchSpec)
    assert spec == session.spec()
    await session.stop()


def test_a_session_is_not_started_twice(session: Session) -> None:
    pid = session.launch(prompt_id="one")
    with pytest.raises(SessionAlreadyRunning):
        session.launch(prompt_id="two")
    assert holder(session.dir) == pid
    assert b'"prompt_id":"one"' in (session.dir / "spec.json").read_bytes()


def test_of_many_starts_at_once_one_wins(session: Session) -> None:
    def start(_: int) -> bool:
        try:
            session.launch()
        except SessionAlreadyRunning:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(start, range(6))) == 1


async def test_it_waits_for_a_runner_that_is_ending(session: Session) -> None:
    for _ in range(5):
        session.launch()
        await session.request("stop")
        await session.wait(lambda: isinstance(session.records()[-1].event, Exited))
    assert [record.seq for record in session.records()] == list(range(1, 11))


def test_a_dead_runner_is_seen_at_once(session: Session) -> None:
    session.launch()
    session.kill()
    assert not is_running(session.dir)
    run = run_of(session.dir)
    assert run is not None
    assert not reaper.is_alive(run)


def test_a_directory_without_a_runner_has_none(tmp_path: Path) -> None:
    assert not is_running(tmp_path / "nowhere")
    assert run_of(tmp_path) is None
    (tmp_path / "lock").touch()
    assert not is_running(tmp_path)


def test_a_runner_that_cannot_start_says_why(session: Session) -> None:
    (session.dir / "run.json").mkdir()
    with pytest.raises(AgentError, match="IsADirectoryError"):
        session.launch()
    assert not is_running(session.dir)


def test_a_runner_that_is_not_ready_in_time_is_not_left_behind(session: Session) -> None:
    with pytest.raises(AgentError, match="not ready in time"):
        launch(session.dir, session.spec(), {}, timeout_seconds=0.005)
    # Its lock is the proof: a runner that lived on would take it within a moment.
    session.launch()
    run = run_of(session.dir)
    assert run is not None
    assert holder(session.dir) == run.pid


async def test_secrets_stay_out_of_files_and_of_the_runners_environment(session: Session) -> None:
    canary = "canary-5f2c9a7be1"
    script = {"run": "echo key: $CANARY; echo $CANARY | cut -c1-9; env", "say": canary}
    pid = session.launch(script, {"CANARY": canary})
    await session.wait_for(TurnEnded)
    assert canary.encode() not in _shown(pid)
    await session.stop()
    for path in session.dir.iterdir():
        assert canary.encode() not in path.read_bytes(), path
    journal = (session.dir / "journal.ndjson").read_text()
    assert "key: [secret]" in journal
    assert "canary-5f" in journal  # the command had it, so the masking is what was tested


async def test_nothing_of_the_servers_environment_reaches_the_agent(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVERS_OWN_TOKEN", "not-for-agents")
    pid = session.launch({"run": "env"})
    await session.wait_for(TurnEnded)
    assert "not-for-agents" not in (session.dir / "journal.ndjson").read_text()
    assert b"not-for-agents" not in _shown(pid)
    assert f"{reaper.MARK}={session.id}" in (session.dir / "journal.ndjson").read_text()


async def test_every_file_is_private(session: Session) -> None:
    session.launch({"run": "true"})
    await session.wait_for(TurnEnded)
    modes = {path.name: path.stat().st_mode & 0o077 for path in session.dir.iterdir()}
    assert set(modes.values()) == {0}, modes
    await asyncio.wait_for(session.stop(), 20)
