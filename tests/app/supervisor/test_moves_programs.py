"""Moves with the vendors' real programs; only the model server is a rehearsal."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from agents.drivers import claude_code_program, codex
from agents.errors import AgentNotFound
from agents.rehearsal.server import RehearsalServer
from app.models import Account, Agent, Session
from app.services import accounts, agents, moves, tasks
from app.services.sessions import say
from app.store import sessions
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.serving import Server, wait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WORK = """title = "Two commits"
[[turns]]
[[turns.steps]]
say = "I begin."
calls = [{{ tool = "bash", command = "echo half > half.txt && git add -A && git commit -qm Half" }}]
[[turns.steps]]
say = "Half of it is done."
calls = [{{ tool = "bash", command = "echo rest > rest.txt" }}]
[[turns.steps]]
say = "Now I commit the rest."
calls = [{{ tool = "bash", command = "git add -A && git commit -qm Rest" }}]
{failure}
[[turns.steps]]
say = "All done."
"""
FINISH = """title = "Finishes what another began"
[[turns]]
[[turns.steps]]
say = "I look at what is there, and finish it."
calls = [{ tool = "bash", command = "cat rest.txt && git add -A && git commit -qm Finish" }]
[[turns.steps]]
say = "Finished."
[[turns]]
[[turns.steps]]
say = "I was told: {prompt}"
"""
LIMITED = 'fail = "limited"\nreset_in_seconds = 7200'


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[RehearsalServer]:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "cut.toml").write_text(WORK.format(failure=LIMITED))
    (folder / "whole.toml").write_text(WORK.format(failure=""))
    (folder / "finish.toml").write_text(FINISH)
    with RehearsalServer(folder) as server:
        yield server


@pytest.fixture
def logins(
    fleet: Deck, rehearsal: RehearsalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Deck:
    """Two Claude subscriptions, the first runs into its limit, and a Codex one; one agent."""
    try:
        claude_code_program.find_binary({})
    except AgentNotFound as error:
        pytest.skip(str(error))
    if not codex.find_binary({}):
        pytest.skip("codex is not installed")
    monkeypatch.setenv("REHEARSED_ONE", "sk-ant-oat01-rehearsed")
    monkeypatch.setenv("REHEARSED_TWO", "sk-ant-oat01-rehearsed-too")
    monkeypatch.setenv("REHEARSED_KEY", "sk-rehearsed")
    places = (
        ("Max A", "claude_code", "subscription", "REHEARSED_ONE", rehearsal.anthropic_url("cut")),
        (
            "Max B",
            "claude_code",
            "subscription",
            "REHEARSED_TWO",
            rehearsal.anthropic_url("whole"),
        ),
        ("Codex", "codex", "api_key", "REHEARSED_KEY", rehearsal.openai_url("finish")),
    )
    for number, (name, driver, auth, secret, url) in enumerate(places):
        accounts.add_account(
            fleet.ctx,
            name=name,
            driver=driver,
            auth=auth,
            secret_env=secret,
            base_url=url,
            config_dir=str(tmp_path / f"login{number}"),
            is_rehearsal=True,
            models=["rehearsed"] if driver == "codex" else None,
        )
    agents.add_agent(
        fleet.ctx, name="heron", driver="claude_code", account="Max A", permissions="auto"
    )
    return fleet


@pytest.fixture
def stage(logins: Deck, deck: Deck) -> Deck:
    """The same with its supervisor running."""
    assert logins is deck
    return deck


def heron(deck: Deck) -> Agent:
    with deck.ctx.db.read() as db:
        return db.get_one(Agent, 3)


def chain(deck: Deck, task_id: int) -> list[Session]:
    with deck.ctx.db.read() as db:
        return sessions.of_task(db, task_id)[::-1]


def payers(deck: Deck, session: Session) -> list[str]:
    with deck.ctx.db.read() as db:
        names = {row.id: row.name for row in db.exec(select(Account))}
        return [names[row.account_id] for row in sessions.payers(db, session.id)]


def asked(deck: Deck) -> int:
    task = tasks.add_task(
        deck.ctx, repository=None, title="Two files", prompt="Make two files.", agent="heron"
    )
    return task.id or 0


async def limited(deck: Deck) -> int:
    """Parked in mid-turn: one commit made, one file not committed, a call cut short."""
    task_id = asked(deck)
    await deck.until_task(task_id, "parked", seconds=90)
    return task_id


async def move(deck: Deck, account: str, **more: bool) -> moves.Move:
    return await asyncio.to_thread(
        lambda: moves.move_agent(deck.ctx, agent="heron", account=account, **more)
    )


def files(deck: Deck, task_id: int) -> set[str]:
    gate = str(deck.ctx.home.repository("ship") / "gate.git")
    head = deck.request(task_id).head_sha
    return set(deck.git("-C", gate, "ls-tree", "--name-only", head).split())


async def test_a_conversation_goes_on_under_another_login_of_its_vendor(
    stage: Deck, tmp_path: Path
) -> None:
    task_id = await limited(stage)
    before = await asyncio.to_thread(
        lambda: moves.preview(stage.ctx, agent="heron", account="Max B")
    )
    assert (before.way, before.refusal, before.is_warm) == ("carry", "", True)
    assert before.context_tokens == 12 + 1500 + 3600
    assert before.saves_hours == pytest.approx(2, abs=0.1)
    await move(stage, "Max B")
    await stage.until_task(task_id, "review", seconds=90)

    (session,) = chain(stage, task_id)
    assert (session.launches, session.account_id) == (2, heron(stage).account_id)
    assert payers(stage, session) == ["Max A", "Max B"]
    carried = list((tmp_path / "login1").glob(f"projects/*/{session.conversation_id}.jsonl"))
    assert len(carried) == 1
    assert {"half.txt", "rest.txt"} <= files(stage, task_id)


async def test_work_of_one_vendor_is_finished_by_another(stage: Deck) -> None:
    task_id = await limited(stage)
    await move(stage, "Codex")
    message = say(stage.ctx, session_id=chain(stage, task_id)[0].id, text="Keep it short.")
    await stage.until_task(task_id, "review", seconds=90)
    await stage.until(lambda: message.id in stage.journal(task_id))
    await stage.until_task(task_id, "review", seconds=90)

    old, new = chain(stage, task_id)
    assert (old.state, old.driver, new.driver, new.model) == (
        "ended", "claude_code", "codex", "rehearsed",
    )  # fmt: skip
    assert (new.worktree, new.branch) == (old.worktree, old.branch)
    assert (payers(stage, old), payers(stage, new)) == (["Max A"], ["Codex"])
    assert "Make two files." in new.handover
    assert "changed, not committed: rest.txt" in new.handover
    assert {"half.txt", "rest.txt"} <= files(stage, task_id)
    assert (
        f'"message_id":"{message.id}"'
        not in (stage.ctx.home.session(old.id) / "journal.ndjson").read_text()
    )


async def test_back_to_the_first_vendor_it_is_told_what_the_second_did(stage: Deck) -> None:
    task_id = await limited(stage)
    await move(stage, "Codex")
    await stage.until_task(task_id, "review", seconds=90)
    await move(stage, "Max B")
    await stage.until(lambda: heron(stage).driver == "claude_code")
    say(stage.ctx, session_id=stage.session(task_id).id, text="One thing more.")
    await stage.until(lambda: len(chain(stage, task_id)) == 3, seconds=90)
    await stage.until(lambda: "One thing more." in stage.journal(task_id), seconds=90)
    third = chain(stage, task_id)[2]
    assert (third.driver, third.continues_id) == ("claude_code", chain(stage, task_id)[1].id)
    assert "Finish" in third.handover


def test_a_server_killed_at_every_step_carries_all_the_same(logins: Deck, server: Server) -> None:
    task_id = asked(logins)
    server.start()
    wait(lambda: logins.task(task_id).state == "parked", 90)
    moves.move_agent(logins.ctx, agent="heron", account="Max B")
    seen: set[tuple[str, bool, str]] = set()
    deadline = time.monotonic() + 180
    while logins.task(task_id).state != "review":
        assert time.monotonic() < deadline, seen
        session = logins.session(task_id)
        now = (session.state, session.wants_start, logins.task(task_id).state)
        if now not in seen:
            seen.add(now)
            server.kill()
            server.start()
    assert len(seen) > 2
    (session,) = chain(logins, task_id)
    assert payers(logins, session) == ["Max A", "Max B"]
    journal = (logins.ctx.home.session(session.id) / "journal.ndjson").read_text()
    assert journal.count(f'"message_id":"{session.id}-continue') == session.launches - 1
    assert {"half.txt", "rest.txt"} <= files(logins, task_id)
