"""All accounts dry at once, with real runners: all parks, it is said until when, nothing spins."""

import asyncio
from datetime import timedelta

import pytest

from app.models.base import utc_now
from app.services import balancer, gauges
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.test_balance import decisions, limited, login, settle

WRITE = "echo x > {0}.txt; git add -A; git commit -qm X"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["advise", "auto_all"])
async def test_everything_parks_and_comes_back_by_itself(deck: Deck, mode: str) -> None:
    balancer.set_mode(deck.ctx, mode)
    resets_at = utc_now() + timedelta(seconds=9)
    tasks = []
    for agent in ("maple", "otter"):
        settle(deck, agent, login(deck, f"Home of {agent}", 60))
        run = WRITE.format(agent)
        tasks.append(deck.add_task(agent=agent, run=run, events=limited(resets_at), hang=True))
    for task_id in tasks:
        parked = await deck.until_task(task_id, "parked")
        assert parked.parked_until is not None
        assert abs(parked.parked_until - resets_at) < timedelta(seconds=3)
    waiting = deck.add_task(run=WRITE.format("third"))
    await deck.until(lambda: all(deck.state(task_id) == "stopped" for task_id in tasks))
    with deck.ctx.db.read() as db:
        strip = gauges.strip(db, utc_now())
    assert strip.parked == 2
    assert strip.resumes_at is not None
    assert abs(strip.resumes_at - resets_at) < timedelta(seconds=3)
    said = len(decisions(deck))
    await asyncio.sleep(2)
    assert len(decisions(deck)) == said
    assert deck.task(waiting).state == "queued"
    assert [deck.session(task_id).launches for task_id in tasks] == [1, 1]
    for task_id in (*tasks, waiting):
        await deck.until_task(task_id, "review")
    assert [deck.session(task_id).launches for task_id in tasks] == [2, 2]
