"""Agents' clocks over real sessions: a permission, a death while nobody looked, a restart."""

import asyncio
import os
import signal
from datetime import timedelta

from agents import launch
from app.models.base import utc_now
from app.services import clock, waterfall
from app.services.sessions import answer
from app.store import agents, ladder, sessions
from app.store import clock as store
from app.supervisor.supervisor import Supervisor
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.test_main_job import WRITE

DAY = timedelta(days=1)


def seconds(deck: Deck, name: str) -> dict[str, int]:
    """An agent's milliseconds by state; they are the wall time of its life."""
    now = utc_now()
    with deck.ctx.db.read() as db:
        agent = agents.by_name(db, name)
        assert agent is not None
        found = clock.seconds(db, now - DAY, now)[agent.id or 0]
        born = store.every(db)[agent.id or 0].born_ms
    assert sum(found.values()) == clock.unix_ms(now) - born
    return {state: milliseconds for state, milliseconds in found.items() if milliseconds}


async def test_time_before_during_and_after_a_permission(deck: Deck) -> None:
    task_id = deck.add_task(agent="maple", ask="rm -rf build", run=WRITE)
    await deck.until(lambda: bool(deck.open_permissions()))
    asked = utc_now()
    (permission,) = deck.open_permissions()
    await deck.until(lambda: utc_now() - asked > timedelta(seconds=0.3))
    await asyncio.to_thread(answer, deck.ctx, permission_id=permission.id or 0, decision="allow")
    await deck.until_task(task_id, "review")
    maple, otter = seconds(deck, "maple"), seconds(deck, "otter")
    assert maple["waiting_human"] >= 300
    assert maple.keys() >= {"waiting_slot", "tool", "waiting_human"}
    assert set(otter) == {"idle"}


async def test_an_agent_that_died_while_nobody_looked_stood_still_from_then_on(fleet: Deck) -> None:
    fleet.bus.attach()
    await fleet.supervisor.start()
    task_id = fleet.add_task(agent="maple", hang=True)
    await fleet.until(lambda: fleet.state(task_id) == "running" and fleet.session(task_id).seq > 1)
    await fleet.supervisor.stop()
    session = fleet.session(task_id)
    pid = launch.holder(fleet.ctx.home.session(session.id))
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await fleet.until(lambda: not launch.is_running(fleet.ctx.home.session(session.id)))
    later = utc_now()
    await fleet.until(lambda: utc_now() - later > timedelta(seconds=1))
    supervisor = Supervisor(fleet.ctx, fleet.bus)
    await supervisor.start()
    try:
        await fleet.until_task(task_id, "failed")
        with fleet.ctx.db.read() as db:
            last = sessions.of_task(db, task_id)[0].last_event_at
            found = store.every(db)[session.agent_id]
        assert last is not None
        assert last < later
        assert (found.state, found.since_ms) == ("error", clock.unix_ms(last))
        assert seconds(fleet, "maple")["error"] >= 1000
    finally:
        await supervisor.stop()


async def test_rungs_come_by_themselves(deck: Deck) -> None:
    await deck.until(lambda: _last_minute(deck) is not None)
    with deck.ctx.db.read() as db:
        found = waterfall.measure(db, utc_now() - DAY, utc_now())
    assert (found.rungs, found.left_out) == ((), ("Scripts",))


def _last_minute(deck: Deck) -> int | None:
    with deck.ctx.db.read() as db:
        return ladder.last_minute(db)
