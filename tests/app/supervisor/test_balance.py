"""Limits, quotas, caps and modes with real runners: who parks, who goes on, who comes back."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest

from app.errors import Conflict
from app.models import Account, Agent, BalancerDecision
from app.models.base import utc_now
from app.services import balancer
from app.services.sessions import say
from app.store import accounts, balancing, sessions
from tests.app import factories as make
from tests.app.supervisor.conftest import Deck

WRITE = "echo x > x.txt; git add -A; git commit -qm X"
OPUS = "claude-opus-4-5"  # a model with a price


def limited(resets_at: datetime | None) -> list[dict[str, object]]:
    """What a vendor says when a window is used up in the middle of a turn."""
    ended: dict[str, object] = {"kind": "turn_ended", "turn_id": "t", "outcome": "limited"}
    if resets_at is not None:
        ended["resets_at"] = resets_at.isoformat()
    return [{"kind": "failed", "error": "limit", "message": "Your window is used up."}, ended]


def used(tokens: int) -> list[dict[str, object]]:
    return [{"kind": "usage", "model": OPUS, "output_tokens": tokens}]


def login(deck: Deck, name: str, used_percent: float) -> Account:
    """A subscription of the scripted vendor, with a week that is so far used."""
    account = make.account(deck.ctx, name, "scripted", week_usd=500.0)
    make.quota(
        deck.ctx,
        account,
        "seven_day",
        used_percent,
        window_minutes=10080,
        resets_at=utc_now() + timedelta(hours=84),
    )
    return account


def settle(deck: Deck, agent: str, account: Account) -> None:
    """The human puts an agent on an account."""
    with deck.ctx.db.write() as db:
        row = db.get_one(Agent, {"maple": 1, "otter": 2}[agent])
        row.account_id = account.id or 0
        db.add(row)


def home(deck: Deck, agent: str) -> str:
    with deck.ctx.db.read() as db:
        row = db.get_one(Agent, {"maple": 1, "otter": 2}[agent])
        return db.get_one(Account, row.account_id).name


def decisions(deck: Deck) -> list[BalancerDecision]:
    with deck.ctx.db.read() as db:
        return balancing.newest(db, 100)[::-1]


def starts(deck: Deck, task_id: int) -> list[datetime]:
    """When the task's runners began, by its journal."""
    lines = [json.loads(line) for line in deck.journal(task_id).splitlines()]
    return [
        datetime.fromisoformat(line["at"])
        for line in lines
        if line["event"]["kind"] == "session_started"
    ]


@pytest.mark.slow
async def test_a_dry_account_parks_its_task_and_the_others_go_on(deck: Deck) -> None:
    """It resumes by itself, once, and nothing is lost or done twice."""
    balancer.set_mode(deck.ctx, "auto_new")
    full, empty = login(deck, "Full", 60), login(deck, "Empty", 50)
    settle(deck, "maple", full)
    settle(deck, "otter", empty)
    resets_at = utc_now() + timedelta(seconds=6)
    first = deck.add_task(agent="maple", run=WRITE, events=limited(resets_at), hang=True)
    with deck.ctx.db.write() as db:
        row = accounts.by_name(db, "Empty")
        assert row is not None
        row.max_running = 1
        db.add(row)
    parked = await deck.until_task(first, "parked")
    assert parked.parked_until is not None
    assert abs(parked.parked_until - resets_at) < timedelta(seconds=3)
    assert "used up its window" in parked.state_reason
    others = [deck.add_task(run=f"{WRITE}{n}") for n in range(2)]
    for task_id in others:
        await deck.until_task(task_id, "review")
        assert deck.task(task_id).agent_id == 2
    assert deck.task(first).state in ("parked", "queued", "running", "review")
    await deck.until_task(first, "review")
    assert deck.journal(first).count('"origin":"system"') == 1
    assert (deck.session(first).launches, deck.request(first).files) == (2, 1)
    assert starts(deck, first)[1] > resets_at


@pytest.mark.slow
async def test_an_accounts_tasks_come_back_one_by_one(deck: Deck) -> None:
    resets_at = utc_now() + timedelta(seconds=5)
    tasks = [deck.add_task(run=WRITE, events=limited(resets_at), hang=True) for _ in range(2)]
    for task_id in tasks:
        await deck.until_task(task_id, "parked")
    for task_id in tasks:
        await deck.until_task(task_id, "review")
    first, second = sorted(starts(deck, task_id)[1] for task_id in tasks)
    assert first > resets_at
    assert second - first > timedelta(seconds=3.5)


@pytest.mark.slow
async def test_in_auto_all_it_goes_on_elsewhere(deck: Deck) -> None:
    """The scripted vendor carries no conversation: the same worktree, a note, a new session."""
    balancer.set_mode(deck.ctx, "auto_all")
    settle(deck, "maple", login(deck, "Home", 60))
    login(deck, "Other", 20)
    limit = limited(utc_now() + timedelta(hours=5))
    task_id = deck.add_task(agent="maple", run=WRITE, events=limit, hang=True)
    await deck.until_task(task_id, "review")
    assert home(deck, "maple") == "Home"  # it began on the other, where the pressure was
    began, moved = decisions(deck)
    assert (began.action, began.to_account_id) == ("start", moved.from_account_id)
    assert (moved.action, moved.state, moved.mode) == ("move", "applied", "auto_all")
    assert moved.settled_at is not None
    assert moved.saves_hours == pytest.approx(5, abs=0.1)
    with deck.ctx.db.read() as db:
        new, old = sessions.of_task(db, task_id)
    assert (new.continues_id, old.state, new.worktree) == (old.id, "ended", old.worktree)
    assert deck.request(task_id).files == 1
    with pytest.raises(Conflict, match="used up its window"):
        await asyncio.to_thread(balancer.undo, deck.ctx, moved.id or 0)


async def test_advice_after_a_limit_moves_with_one_click(deck: Deck) -> None:
    settle(deck, "maple", login(deck, "Home", 60))
    login(deck, "Other", 20)
    limit = limited(utc_now() + timedelta(hours=5))
    task_id = deck.add_task(agent="maple", run=WRITE, events=limit, hang=True)
    await deck.until_task(task_id, "parked")
    await deck.until(lambda: bool([row for row in decisions(deck) if row.action == "move"]))
    (advice,) = [row for row in decisions(deck) if row.action == "move"]
    assert (advice.state, home(deck, "maple")) == ("advised", "Home")
    await asyncio.to_thread(balancer.apply, deck.ctx, advice.id or 0)
    await deck.until_task(task_id, "review")
    assert home(deck, "maple") == "Other"
    assert [row.state for row in decisions(deck) if row.action == "move"] == ["applied"]


async def test_an_agent_over_its_quota_finishes_its_turn(deck: Deck) -> None:
    with deck.ctx.db.write() as db:
        row = db.get_one(Agent, 1)
        row.quota_unit, row.quota_per_day = "tokens", 1000.0
        db.add(row)
    task_id = deck.add_task(agent="maple", events=used(5000), run=WRITE)
    await deck.until_task(task_id, "review")
    say(deck.ctx, session_id=deck.session(task_id).id, text="And now the tests.")
    task = await deck.until_task(task_id, "parked")
    assert "maple used 5,000 output tokens of its 1,000 output tokens a day" in task.state_reason
    assert task.parked_until is not None
    assert task.parked_until.hour == 0
    assert "And now the tests" not in deck.journal(task_id)
    other = deck.add_task(run=WRITE)
    await deck.until_task(other, "review")
    assert deck.task(other).agent_id == 2


async def test_a_daily_cap_stops_a_turn_in_its_middle(deck: Deck) -> None:
    with deck.ctx.db.write() as db:
        row = db.get_one(Account, 1)
        row.daily_cap_usd = 1.0
        db.add(row)
    task_id = deck.add_task(run=WRITE, events=used(1_000_000), hang=True)
    task = await deck.until_task(task_id, "parked")
    assert "of its $1.00 a day" in task.state_reason
    await deck.until(lambda: deck.state(task_id) == "stopped")
    assert deck.task(task_id).state == "parked"
    waiting = deck.add_task(run=WRITE)
    deck.bus.publish("wake")
    await deck.until(lambda: deck.state(task_id) == "stopped")
    assert deck.state(waiting) == ""


@pytest.mark.parametrize("mode", ["off", "advise", "auto_new", "auto_all"])
async def test_a_fleet_with_one_account_works_in_every_mode(deck: Deck, mode: str) -> None:
    balancer.set_mode(deck.ctx, mode)
    await deck.until_task(deck.add_task(run=WRITE), "review")
    assert home(deck, "maple") == "Scripts"
