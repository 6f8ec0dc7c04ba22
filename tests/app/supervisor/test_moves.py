"""Moves with real runners, worktrees and repositories; the models are a script and a rehearsal."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from agents.rehearsal.server import RehearsalServer
from app.errors import Conflict, Unavailable
from app.models import Account, Agent, BalancerDecision, Session
from app.models.base import utc_now
from app.services import accounts, moves, reviews
from app.services.sessions import answer, say
from app.store import sessions
from tests.app.supervisor.conftest import Deck

HALF = "echo half > half.txt && git add half.txt && git commit -qm 'Half of it' && echo rest > rest"


@pytest.fixture
def rehearsal() -> Iterator[RehearsalServer]:
    with RehearsalServer() as server:
        yield server


@pytest.fixture
def other(fleet: Deck, rehearsal: RehearsalServer) -> str:
    """An account of another vendor, whose model writes hello.txt and commits everything."""
    url = rehearsal.openai_url("happy")
    name = "Elsewhere"
    accounts.add_account(
        fleet.ctx, name=name, driver="openai_api", auth="none", base_url=url, is_rehearsal=True
    )
    return name


def agent(deck: Deck, name: str = "maple") -> Agent:
    with deck.ctx.db.read() as db:
        return db.get_one(Agent, {"maple": 1, "otter": 2}[name])


def chain(deck: Deck, task_id: int) -> list[Session]:
    """The task's sessions, oldest first."""
    with deck.ctx.db.read() as db:
        return sessions.of_task(db, task_id)[::-1]


def decision(deck: Deck, move: moves.Move | None) -> BalancerDecision:
    assert move is not None
    with deck.ctx.db.read() as db:
        return db.get_one(BalancerDecision, move.decision_id)


async def move(deck: Deck, account: str, **more: object) -> moves.Move:
    given = {"agent": "maple", "account": account, **more}
    return await asyncio.to_thread(lambda: moves.move_agent(deck.ctx, **given))  # type: ignore[arg-type]


async def working(deck: Deck, **script: object) -> int:
    """A task in the middle of its turn: one commit made, one file not committed."""
    task_id = deck.add_task(agent="maple", run=HALF, **script)
    await deck.until(lambda: bool(deck.state(task_id)) and deck.session(task_id).touched_seq > 0)
    return task_id


async def finished_elsewhere(deck: Deck, task_id: int) -> None:
    """Two sessions in one worktree on one branch, and one merge request with the work of both."""
    await deck.until_task(task_id, "review")
    old, new = chain(deck, task_id)
    assert (old.state, new.continues_id, new.driver) == ("ended", old.id, "openai_api")
    assert (new.worktree, new.branch, new.base_sha) == (old.worktree, old.branch, old.base_sha)
    branch = deck.request(task_id).branch
    gate = str(deck.ctx.home.repository("ship") / "gate.git")
    files = deck.git("-C", gate, "ls-tree", "--name-only", deck.request(task_id).head_sha)
    assert branch == old.branch
    assert {"half.txt", "rest", "hello.txt"} <= set(files.split())


async def test_an_idle_agent_moves_at_once(deck: Deck, other: str) -> None:
    before = moves.preview(deck.ctx, agent="maple", account=other)
    assert (before.way, before.costs_usd, before.saves_hours) == ("idle", 0.0, 0.0)
    moved = await move(deck, other)
    assert moved.is_done
    assert agent(deck).driver == "openai_api"
    row = decision(deck, moved)
    assert (row.mode, row.state, row.action) == ("human", "applied", "move")
    assert row.settled_at is not None


@pytest.mark.slow
async def test_work_goes_on_elsewhere_in_the_same_worktree(deck: Deck, other: str) -> None:
    task_id = await working(deck, hang=True)
    moved = await move(deck, other, now=True)
    assert not moved.is_done
    await finished_elsewhere(deck, task_id)

    note = chain(deck, task_id)[1].handover
    assert deck.task(task_id).prompt in note
    assert "Half of it" in note
    assert "changed, not committed: rest" in note
    assert decision(deck, moved).settled_at is not None
    assert "Interrupted" not in deck.task(task_id).state_reason


@pytest.mark.slow
async def test_a_move_waits_for_the_turn_to_end(deck: Deck, other: str) -> None:
    task_id = await working(deck, rate=20, seconds=2)
    before = moves.preview(deck.ctx, agent="maple", account=other)
    assert before.is_in_turn
    moved = await move(deck, other)
    assert "when its turn ends" in moved.says
    assert agent(deck).driver == "scripted"
    await deck.until_task(task_id, "review")
    await deck.until(lambda: agent(deck).driver == "openai_api")
    (only,) = chain(deck, task_id)
    assert "interrupted" not in deck.journal(task_id)
    assert only.state == "stopped"

    request = deck.request(task_id)  # asked for changes, the work goes on where the agent is now
    reviews.request_changes(
        deck.ctx, merge_request_id=request.id or 0, head_sha=request.head_sha, body="Say hello."
    )
    await deck.until(lambda: deck.request(task_id).round == 2)
    await finished_elsewhere(deck, task_id)
    assert deck.journal(task_id).count("Say hello.") == 1


async def test_what_the_human_says_meanwhile_arrives_once(deck: Deck, other: str) -> None:
    task_id = await working(deck, hang=True)
    first = deck.session(task_id).id
    await move(deck, other, now=True)
    message = say(deck.ctx, session_id=first, text="And be quick.")
    await finished_elsewhere(deck, task_id)
    old, new = chain(deck, task_id)
    await deck.until(lambda: message.id in deck.journal(task_id))
    journals = [
        (deck.ctx.home.session(one.id) / "journal.ndjson").read_text() for one in (old, new)
    ]
    assert [text.count(f'"message_id":"{message.id}"') for text in journals] == [0, 1]
    late = say(deck.ctx, session_id=first, text="Thank you.")  # the page still shows the old one
    assert late.session_id == new.id


async def test_an_open_question_holds_the_move_until_it_is_answered(deck: Deck, other: str) -> None:
    task_id = await working(deck, ask="rm -rf build")
    await deck.until(lambda: bool(deck.open_permissions()))
    assert not (await move(deck, other)).is_done
    await deck.until(lambda: bool(deck.open_permissions()))
    (permission,) = deck.open_permissions()
    await asyncio.to_thread(answer, deck.ctx, permission_id=permission.id or 0, decision="deny")
    await deck.until(lambda: agent(deck).driver == "openai_api")
    await deck.until_task(task_id, "review")


async def test_moved_now_an_open_question_is_void(deck: Deck, other: str) -> None:
    task_id = await working(deck, ask="rm -rf build")
    await deck.until(lambda: bool(deck.open_permissions()))
    await move(deck, other, now=True)
    await finished_elsewhere(deck, task_id)
    assert not deck.open_permissions()
    assert "rm -rf build" in chain(deck, task_id)[1].handover.partition("not answered")[2]


async def test_a_parked_task_goes_on_at_once(deck: Deck, other: str) -> None:
    task_id = await working(deck, fail="limit")
    await deck.until_task(task_id, "parked")
    before = moves.preview(deck.ctx, agent="maple", account=other)
    assert before.saves_hours == pytest.approx(0.25, abs=0.01)
    await move(deck, other)
    await finished_elsewhere(deck, task_id)
    with deck.ctx.db.read() as db:
        paid = [sessions.payers(db, one.id)[-1].account_id for one in chain(deck, task_id)]
    assert paid == [1, 2]


@pytest.mark.slow
async def test_there_and_back(deck: Deck, other: str) -> None:
    task_id = await working(deck, hang=True)
    await move(deck, other, now=True)
    await finished_elsewhere(deck, task_id)
    await move(deck, "Scripts")
    await deck.until(lambda: agent(deck).driver == "scripted")
    say(deck.ctx, session_id=deck.session(task_id).id, text=json.dumps({"say": "Back again."}))
    await deck.until(lambda: len(chain(deck, task_id)) == 3)
    await deck.until_task(task_id, "review")
    await deck.until(lambda: "Back again." in deck.journal(task_id))
    third = chain(deck, task_id)[2]
    assert (third.driver, third.account_id) == ("scripted", 1)
    assert "Add hello.txt" in third.handover


async def test_a_waiting_move_is_called_off(deck: Deck, other: str) -> None:
    task_id = await working(deck, hang=True)
    moved = await move(deck, other)
    stays = await move(deck, "Scripts")
    assert "stays on Scripts" in stays.says
    assert decision(deck, moved).state == "undone"
    with pytest.raises(Conflict, match="No move of maple is waiting"):
        moves.call_off(deck.ctx, agent="maple")
    assert deck.state(task_id) == "running"


async def test_moves_that_cannot_be_are_refused(deck: Deck, other: str) -> None:
    """Each with a sentence; nothing has changed afterwards."""
    task_id = await working(deck, hang=True)

    async def refused(expected: type[Exception], words: str, account: str = other) -> None:
        with pytest.raises(expected, match=words):
            await move(deck, account, now=True)
        assert (agent(deck).driver, deck.state(task_id)) == ("scripted", "running")

    def changed(**fields: object) -> None:
        with deck.ctx.db.write() as db:
            row = db.get_one(Account, 2)
            for name, value in fields.items():
                setattr(row, name, value)
            db.add(row)

    await refused(Conflict, "on Scripts already", "Scripts")
    changed(limited_until=utc_now() + timedelta(hours=2))
    await refused(Conflict, "used up its window until")
    changed(limited_until=None, login="out", login_problem="Elsewhere is logged out; log in.")
    await refused(Conflict, "logged out; log in")
    changed(login="unknown", auth="api_key", secret_env="NOT_SET_HERE")
    await refused(Unavailable, "NOT_SET_HERE, which is not set")
    with deck.ctx.db.read() as db:
        assert not list(db.exec(select(BalancerDecision)))


async def test_a_missing_program_refuses_the_move(
    deck: Deck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin" / "codex"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    accounts.add_account(
        deck.ctx, name="Broken", driver="codex", auth="none", base_url="http://127.0.0.1:9/v1"
    )
    monkeypatch.setenv("PATH", str(broken.parent), prepend=":")
    with pytest.raises(Unavailable):
        await move(deck, "Broken")
    assert agent(deck).driver == "scripted"
