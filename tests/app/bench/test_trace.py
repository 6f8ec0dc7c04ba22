"""What was recorded becomes a world: dollars, times and accounts are those of the rows."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.bench import main
from app.bench.simulator.bound import bound
from app.bench.simulator.contenders import contenders
from app.bench.simulator.simulation import Simulation
from app.bench.simulator.trace import recorded
from app.models import Account, OutsideMinute, QuotaReading, UsageMinute
from app.services.context import Context
from tests.app import factories as make

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = MONDAY + timedelta(days=16)
PRICED = "claude-sonnet-4-5"  # $15 a million tokens out


@pytest.fixture
def history(ctx: Context) -> Context:
    """Two accounts of known size and one of none; 40 tasks of $3 in sixteen days."""
    repository = make.repository(ctx)
    big = make.save(ctx, Account(name="Big", driver="scripted", auth="none", week_usd=90.0))
    small = make.save(ctx, Account(name="Small", driver="scripted", auth="none", week_usd=30.0))
    make.save(ctx, Account(name="Nobody knows", driver="scripted", auth="none"))
    agent = make.agent(ctx, "maple", big)
    for account, hour in ((big, 30), (small, 100)):
        week: dict[str, Any] = {"kind": "seven_day", "window_minutes": 10080, "used_percent": 20.0}
        resets_at = NOW + timedelta(hours=hour)
        make.save(ctx, QuotaReading(account_id=account.id, resets_at=resets_at, **week))
    for number in range(40):
        at = MONDAY + timedelta(hours=9 * number)
        task = make.task(ctx, repository, created_at=at)
        session = make.session(ctx, agent, task, model=PRICED)
        for minute in range(20):
            key = {"session_id": session.id, "account_id": big.id, "model": PRICED}
            first = int(at.timestamp()) // 60
            make.save(ctx, UsageMinute(**key, minute=first + minute, output_tokens=10_000))
    outside = {"account_id": small.id, "model": PRICED, "output_tokens": 200_000}
    at_minute = int((MONDAY + timedelta(days=3)).timestamp()) // 60
    make.save(ctx, OutsideMinute(**outside, minute=at_minute))
    return ctx


def test_the_world_is_what_was_recorded(history: Context) -> None:
    with history.db.read() as db:
        trace = recorded(db, NOW)
    world = trace.world
    assert [plan.name for plan in world.plans] == ["Big", "Small"]
    assert [plan.week_dollars for plan in world.plans] == [90.0, 30.0]
    assert world.hours == 16 * 24
    assert [job.dollars for job in world.jobs] == pytest.approx([3.0] * 40)
    assert world.jobs[1].at == pytest.approx(9.0)
    assert world.jobs[0].dollars_per_hour == pytest.approx(9.0)
    assert world.human == ((72.5, 1, pytest.approx(3.0)),)
    # It resets 30 hours after day 16, so that many hours into a week that began with day 14.
    assert world.phases[0] == pytest.approx((16 * 24 + 30) % 168)
    assert any("Nobody knows is left out" in said for said in trace.left_out)


def test_every_policy_plays_it(history: Context) -> None:
    with history.db.read() as db:
        world = recorded(db, NOW).world
    best = bound(world)
    assert best > 0
    for policy in contenders(world.plans).values():
        outcome = Simulation(world, policy).run()
        assert 0 < outcome.score <= best * 1.000001


def test_an_empty_house_has_nothing_to_replay(ctx: Context) -> None:
    with ctx.db.read() as db, pytest.raises(ValueError, match="no task of this installation"):
        recorded(db, NOW)


def test_the_command_replays_this_home(
    history: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUARTERDECK_DATABASE_URL", history.db.url)
    assert main("balance", ["--recorded", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["policy"] for row in told["rows"]} >= {"ours", "round-robin"}
    assert told["notes"][0].startswith("40 tasks in ")
