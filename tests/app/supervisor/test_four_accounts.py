"""Four accounts, twelve tasks, real programs: one account runs into its limit in mid-turn.

What it worked on parks and goes on by itself after the reset; the rest of the work goes elsewhere;
nothing is lost, done twice, or called done by a limit.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agents.drivers import claude_code_program, codex
from agents.errors import AgentNotFound
from agents.rehearsal.accounts import Account as Payer
from agents.rehearsal.scenario import Limits
from agents.rehearsal.server import RehearsalServer
from app.models import Account, Session, Task
from app.models.base import utc_now
from app.services import accounts, agents, balancer, tasks
from app.store import sessions
from app.store import tasks as task_rows
from tests.app.supervisor.conftest import Deck

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

TASKS = 12
RESET_SECONDS = 25  # five hours, shortened
ALL_SECONDS = 300.0
CHAPTER = """title = "Writes chapter {number}"
match = ["Write chapter {number}"]
[[turns]]
[[turns.steps]]
say = "I write chapter {number}."
calls = [{{ tool = "bash", command = "mkdir -p book; echo chapter {number} >> book/{number}.txt" }}]
[[turns.steps]]
say = "I read it once more."
calls = [{{ tool = "bash", command = "cat book/{number}.txt" }}]
[[turns.steps]]
say = "Good. I commit it."
calls = [{{ tool = "bash", command = "git add -A && git commit -qm 'Chapter {number}'" }}]
[[turns.steps]]
say = "Chapter {number} is written."
"""
LOGINS = (  # name, driver, how it pays, its key
    ("Max A", "claude_code", "subscription", "sk-ant-oat01-a"),
    ("Max B", "claude_code", "subscription", "sk-ant-oat01-b"),
    ("Codex A", "codex", "api_key", "sk-codex-a"),
    ("Codex B", "codex", "api_key", "sk-codex-b"),
)
AGENTS = (("maple", "Max A"), ("otter", "Max A"), ("heron", "Max B"), ("finch", "Max B"))
AGENTS += (("cedar", "Codex A"), ("raven", "Codex B"))
WIDE = Limits(five_hour_percent=3, five_hour_tokens=50_000_000)
# A chapter's four calls are about 20,000 tokens: the second or third chapter breaks off.
NARROW = Limits(
    five_hour_percent=0, five_hour_resets_in_seconds=RESET_SECONDS, five_hour_tokens=33_000
)


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[RehearsalServer]:
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    for number in range(TASKS):
        text = CHAPTER.format(number=f"{number:02}")
        (scenarios / f"chapter{number:02}.toml").write_text(text)
    payers = {key: Payer(limits=NARROW if key.endswith("oat01-a") else WIDE) for *_, key in LOGINS}
    with RehearsalServer(scenarios, accounts=payers) as server:
        yield server


@pytest.fixture
async def house(
    fleet: Deck, rehearsal: RehearsalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Deck]:
    try:
        claude_code_program.find_binary({})
    except AgentNotFound as error:
        pytest.skip(str(error))
    if not codex.find_binary({}):
        pytest.skip("codex is not installed")
    for name in ("maple", "otter"):  # the scripted ones make way
        agents.set_agent(fleet.ctx, name=name, is_enabled=False)
    for number, (name, driver, auth, key) in enumerate(LOGINS):
        monkeypatch.setenv(f"REHEARSED_{number}", key)
        accounts.add_account(
            fleet.ctx,
            name=name,
            driver=driver,
            auth=auth,
            secret_env=f"REHEARSED_{number}",
            base_url=rehearsal.anthropic_url()
            if auth == "subscription"
            else rehearsal.openai_url(),
            config_dir=str(tmp_path / f"login{number}"),
            is_rehearsal=True,
        )
        for agent, home in AGENTS:
            if home == name:
                agents.add_agent(
                    fleet.ctx,
                    name=f"{agent}-real",
                    driver=driver,
                    account=name,
                    model="rehearsed" if driver == "codex" else "",
                    permissions="auto",
                )
    balancer.set_mode(fleet.ctx, "auto_new")
    fleet.bus.attach()
    await fleet.supervisor.start()
    yield fleet
    await fleet.supervisor.stop()


def every(deck: Deck) -> list[Task]:
    with deck.ctx.db.read() as db:
        return task_rows.backlog(db)


def parked(deck: Deck) -> list[Task]:
    return [task for task in every(deck) if task.state == "parked"]


def account(deck: Deck, name: str) -> Account:
    with deck.ctx.db.read() as db:
        return next(row for row in accounts.accounts.every(db) if row.name == name)


def work_of(deck: Deck, task: Task) -> list[Session]:
    with deck.ctx.db.read() as db:
        return sessions.of_task(db, task.id or 0)


def prompts(deck: Deck, task: Task) -> list[str]:
    """The origins of what the task's agent was told."""
    lines = [json.loads(line)["event"] for line in deck.journal(task.id or 0).splitlines()]
    return [line["origin"] for line in lines if line["kind"] == "user_message"]


async def test_one_account_runs_dry_and_nothing_is_lost(house: Deck) -> None:
    for number in range(TASKS):
        prompt = f"Write chapter {number:02}, and commit it."
        tasks.add_task(house.ctx, repository=None, title=f"Chapter {number:02}", prompt=prompt)

    await house.until(lambda: bool(parked(house)), ALL_SECONDS)
    stopped = parked(house)[0]
    dry = account(house, "Max A")
    assert "Max A has used up its window" in stopped.state_reason
    assert stopped.parked_until is not None
    assert dry.limited_until is not None
    assert stopped.parked_until - utc_now() <= timedelta(seconds=RESET_SECONDS + 10)
    (before,) = work_of(house, stopped)
    assert before.account_id == dry.id
    limited_at, returns_at = utc_now(), dry.limited_until

    def over() -> bool:
        return all(task.state == "review" for task in every(house))

    try:
        await house.until(over, ALL_SECONDS)
    except TimeoutError:
        states = [(task.title, task.state, task.state_reason) for task in every(house)]
        raise AssertionError(states) from None

    assert len(every(house)) == TASKS
    (after,) = work_of(house, stopped)  # the same conversation, on the same account, by itself
    assert (after.id, after.account_id) == (before.id, dry.id)
    assert after.launches >= 2
    assert prompts(house, stopped).count("task") == 1
    assert prompts(house, stopped).count("system") == after.launches - 1
    for task in every(house):
        number = task.title.removeprefix("Chapter ")
        (session,) = work_of(house, task)
        request = house.request(task.id or 0)
        assert (request.files, request.additions, request.deletions) == (1, 1, 0), task.title
        gate = house.ctx.home.repository("ship") / "gate.git"
        shown = house.git("-C", str(gate), "show", f"{request.head_sha}:book/{number}.txt")
        assert shown == f"chapter {number}"
        if limited_at < session.created_at < returns_at:
            assert session.account_id != dry.id, f"{task.title} began on an account that was dry"
    used = {session.account_id for task in every(house) for session in work_of(house, task)}
    assert used == {account(house, name).id for name, *_ in LOGINS}
    await asyncio.to_thread(_decided, house, stopped)


def _decided(deck: Deck, stopped: Task) -> None:
    """What was decided can be read: a return within the half hour is waited for."""
    with deck.ctx.db.read() as db:
        rows = [row for row in balancer.decisions(db, 200) if row.task_id == stopped.id]
    waits = [row for row in rows if row.action == "hold"]
    assert waits
    assert waits[0].until_at is not None
    assert {one["account"] for one in waits[0].weighed} >= {name for name, *_ in LOGINS}
