"""A move survives a server that is killed between any two of its steps."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from sqlmodel import select

from agents.rehearsal.server import RehearsalServer
from app import paths
from app.models import Agent, BalancerDecision, Session
from app.services import accounts, moves
from app.services.sessions import say
from app.store import sessions
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.serving import SECONDS, Server, wait

HALF = "echo half > half.txt && git add half.txt && git commit -qm Half && echo rest > rest"


@pytest.fixture
def elsewhere(fleet: Deck) -> Iterator[str]:
    """An account of another vendor, whose model writes hello.txt and commits everything."""
    with RehearsalServer() as rehearsal:
        accounts.add_account(
            fleet.ctx,
            name="Elsewhere",
            driver="openai_api",
            auth="none",
            base_url=rehearsal.openai_url("happy"),
        )
        yield "Elsewhere"


def begun(deck: Deck, server: Server) -> int:
    """A task in the middle of a turn that would never end."""
    task_id = deck.add_task(agent="maple", run=HALF, hang=True)
    server.start()
    wait(lambda: bool(deck.state(task_id)) and deck.session(task_id).touched_seq > 0)
    return task_id


def chain(deck: Deck, task_id: int) -> list[Session]:
    with deck.ctx.db.read() as db:
        return sessions.of_task(db, task_id)[::-1]


def print_of(deck: Deck, task_id: int) -> tuple[object, ...]:
    """What a step of a move changes, as the store shows it."""
    with deck.ctx.db.read() as db:
        rows = db.exec(select(BalancerDecision))
        decided = tuple(row.settled_at is not None for row in rows)
        agent = db.get_one(Agent, 1)
        held = sessions.of_task(db, task_id)
        states = tuple((s.state, s.wants_start, s.wants_stop) for s in held)
    return decided, agent.driver, states, deck.task(task_id).state


def assert_moved_once(deck: Deck, task_id: int, message_id: str) -> None:
    """One session more, told the note once and the message once; nothing of the work is lost."""
    old, new = chain(deck, task_id)
    assert (old.state, new.continues_id, new.worktree) == ("ended", old.id, old.worktree)
    assert new.launches == 1
    directory = deck.ctx.home.session
    first, second = ((directory(one.id) / "journal.ndjson").read_text() for one in (old, new))
    said = f'"message_id":"{message_id}"'
    assert (first.count(said), second.count(said)) == (0, 1)
    assert second.count(f'"message_id":"{new.id}-task"') == 1
    gate = str(deck.ctx.home.repository("ship") / "gate.git")
    files = deck.git("-C", gate, "ls-tree", "--name-only", deck.request(task_id).head_sha)
    assert {"half.txt", "rest", "hello.txt"} <= set(files.split())
    with deck.ctx.db.read() as db:
        (decided,) = db.exec(select(BalancerDecision))
    assert decided.settled_at is not None


@pytest.mark.slow
def test_a_move_that_was_only_decided_is_carried_out(
    fleet: Deck, server: Server, elsewhere: str
) -> None:
    task_id = begun(fleet, server)
    server.kill()
    moved = moves.move_agent(fleet.ctx, agent="maple", account=elsewhere, now=True)
    assert not moved.is_done
    message = say(fleet.ctx, session_id=fleet.session(task_id).id, text="And be quick.")
    server.start()
    wait(lambda: fleet.task(task_id).state == "review")
    wait(lambda: message.id in fleet.journal(task_id))
    assert_moved_once(fleet, task_id, message.id)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("_repetition", range(5))
def test_a_server_killed_at_every_step_moves_all_the_same(
    fleet: Deck, server: Server, elsewhere: str, _repetition: int
) -> None:
    task_id = begun(fleet, server)
    message = say_and_move(fleet, task_id, elsewhere)
    seen, deadline = {print_of(fleet, task_id)}, time.monotonic() + SECONDS
    while fleet.task(task_id).state != "review":
        assert time.monotonic() < deadline, print_of(fleet, task_id)
        now = print_of(fleet, task_id)
        if now not in seen:
            seen.add(now)
            server.kill()
            server.start()
            deadline = time.monotonic() + SECONDS
    assert len(seen) > 3
    wait(lambda: message in fleet.journal(task_id))
    assert_moved_once(fleet, task_id, message)


def say_and_move(deck: Deck, task_id: int, account: str) -> str:
    """By the human's hand in a terminal; the message's id."""
    command = "from app.cli import main; main()"
    env = {
        **os.environ,
        "QUARTERDECK_HOME": str(deck.ctx.home.path),
        "PYTHONPATH": str(paths.ROOT),
    }
    arguments = ["agent", "move", "maple", account, "--now", "--yes"]
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("maple goes to Elsewhere as soon as")
    return say(deck.ctx, session_id=deck.session(task_id).id, text="And be quick.").id
