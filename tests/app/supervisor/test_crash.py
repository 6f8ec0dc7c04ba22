"""Nothing is lost when the server or a runner dies: kill -9, restart, compare every byte."""

import json
import os
import signal
import zlib
from pathlib import Path

import pytest

from agents import journal, launch, reaper
from app.models import Session
from app.services import agents
from app.services.reindex import reindex
from app.services.sessions import say
from app.store import sessions
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.serving import Server, wait


def journal_of(deck: Deck, session: Session) -> Path:
    return deck.ctx.home.session(session.id) / "journal.ndjson"


def assert_exactly_once(deck: Deck, session: Session) -> int:
    """The row's count, digest and cursor are those of the journal; sequence numbers have no gap."""
    path = journal_of(deck, session)
    content = path.read_bytes()
    lines, end = journal.read_after(path, 0, len(content) + 1)
    seqs = [record.seq for _, record, _ in lines if record is not None]
    assert seqs == list(range(1, len(seqs) + 1))
    assert (session.offset, session.event_count) == (end, len(seqs))
    assert session.digest == zlib.crc32(content)
    return len(seqs)


def four_streaming(deck: Deck) -> list[int]:
    for name in ("heron", "finch"):
        agents.add_agent(deck.ctx, name=name, driver="scripted", permissions="auto")
    names = ("maple", "otter", "heron", "finch")
    write = "git commit --allow-empty -qm Start; echo x > x.txt; git add -A; git commit -qm X"
    return [deck.add_task(agent=name, run=write, rate=40, seconds=4, say="Done.") for name in names]


def kill_the_server_in_mid_stream(deck: Deck, server: Server, kills: int) -> None:
    task_ids = four_streaming(deck)
    server.start()
    wait(lambda: all(deck.state(task_id) == "running" for task_id in task_ids))
    for _ in range(kills):
        before = {task_id: deck.session(task_id).seq for task_id in task_ids}
        wait(lambda: any(deck.session(t).seq > before[t] for t in task_ids))  # noqa: B023
        server.kill()
        assert all(launch.is_running(deck.ctx.home.session(deck.session(t).id)) for t in task_ids)
        server.start()
    wait(lambda: all(deck.task(task_id).state == "review" for task_id in task_ids))
    for task_id in task_ids:
        session = deck.session(task_id)
        assert session.launches == 1
        assert assert_exactly_once(deck, session) > 160


@pytest.mark.slow
def test_a_killed_server_loses_no_event(fleet: Deck, server: Server) -> None:
    kill_the_server_in_mid_stream(fleet, server, kills=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("_repetition", range(20))
def test_a_killed_server_loses_no_event_again(
    fleet: Deck, server: Server, _repetition: int
) -> None:
    kill_the_server_in_mid_stream(fleet, server, kills=2)


def kill_the_runner_and_resume(deck: Deck, server: Server) -> None:
    task_id = deck.add_task(spawn_orphan=True, run="echo begun > begun.txt", hang=True)
    server.start()
    wait(lambda: "tool_result" in deck.journal(task_id))
    session = deck.session(task_id)
    directory = deck.ctx.home.session(session.id)
    pid = launch.holder(directory)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    wait(lambda: deck.state(task_id) == "crashed")
    assert reaper.marked(session.id) == []
    wait(lambda: deck.task(task_id).state == "failed")
    assert "runner died" in deck.task(task_id).state_reason

    conversation = deck.session(task_id).conversation_id
    script = json.dumps({"run": "git add -A; git commit -qm Begun", "say": "Went on."})
    say(deck.ctx, session_id=session.id, text=script)
    wait(lambda: deck.task(task_id).state == "review")
    after = deck.session(task_id)
    assert (after.conversation_id, after.launches) == (conversation, 2)
    assert_exactly_once(deck, after)


@pytest.mark.slow
def test_a_killed_runner_is_buried_and_resumes(fleet: Deck, server: Server) -> None:
    kill_the_runner_and_resume(fleet, server)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("_repetition", range(20))
def test_a_killed_runner_is_buried_and_resumes_again(
    fleet: Deck, server: Server, _repetition: int
) -> None:
    kill_the_runner_and_resume(fleet, server)


@pytest.mark.slow
def test_a_second_boot_changes_nothing(fleet: Deck, server: Server) -> None:
    task_id = fleet.add_task(run="echo half > half.txt", hang=True)
    server.start()
    wait(lambda: "tool_result" in fleet.journal(task_id))
    for _ in range(2):
        server.kill(signal.SIGTERM)
        server.start()
        assert server.url
    with fleet.ctx.db.read() as db:
        (session,) = sessions.every(db)
    assert (session.state, session.launches) == ("running", 1)


@pytest.mark.slow
def test_the_rows_can_be_rebuilt_from_the_journals(fleet: Deck, server: Server) -> None:
    task_id = fleet.add_task(run="echo x > x.txt", rate=40, seconds=1, say="Done.")
    server.start()
    wait(lambda: fleet.task(task_id).state == "review")
    server.kill(signal.SIGTERM)
    before = fleet.session(task_id).model_dump()
    assert reindex(fleet.ctx) == 1
    assert fleet.session(task_id).model_dump() == before
