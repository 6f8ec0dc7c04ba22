"""Each loss by a minute made for it; the rungs only fall and sum to what was lost."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.models import (
    Account,
    Agent,
    LadderMinute,
    OutsideMinute,
    Session,
    SessionAccount,
    Task,
    UsageMinute,
)
from app.services import clock, spending, waterfall
from app.services.context import Context
from app.services.prices import equivalent_usd
from app.services.waterfall import Rung
from app.store import ladder as store
from tests.app import factories

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOON = int(START.timestamp()) // 60
MODEL = "claude-opus-4-5"
WEEK_USD = 168 * 60.0  # a dollar a minute


class Fleet:
    """Three agents on one account that holds a dollar a minute."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.repository = factories.repository(ctx)
        self.account = self.login("Max 20x")
        self.agents = [self.agent(name) for name in ("maple", "otter", "birch")]

    def login(self, name: str, **more: Any) -> Account:
        given = {"driver": "scripted", "auth": "none", "week_usd": WEEK_USD}
        return factories.account(self.ctx, name, **given | more)

    def agent(self, name: str, login: Account | None = None, **more: Any) -> Agent:
        return factories.agent(self.ctx, name, login or self.account, **more)

    def task(self, **more: Any) -> Task:
        return factories.task(self.ctx, self.repository, **more)

    def session(self, worker: Agent | None = None, **more: Any) -> Session:
        return factories.session(
            self.ctx, worker or self.agents[0], self.task(state="done"), state="ended", **more
        )

    def are(self, *states: str) -> None:
        """What the agents are in, from before the minute on."""
        with self.ctx.db.write() as db:
            for worker, state in zip(self.agents, states, strict=True):
                clock.note(db, worker.id or 0, state, START - HOUR)

    def change(self, row: Any, **values: Any) -> None:
        with self.ctx.db.write() as db:
            kept = db.get_one(type(row), row.id)
            for name, value in values.items():
                setattr(kept, name, value)

    def spend(self, session: Session, usd: float, minute: int = NOON, **more: int) -> None:
        """Output for so many dollars, in the minute."""
        price = equivalent_usd(MODEL, output=1_000_000)
        assert price
        tokens = {"output_tokens": round(usd / price * 1_000_000)} | more
        row = {"session_id": session.id, "account_id": session.account_id, "model": MODEL}
        factories.save(self.ctx, UsageMinute(**row, minute=minute, **tokens))

    def sample(self, minutes: int = 1) -> None:
        for n in range(1, minutes + 1):
            waterfall.sample(self.ctx, START + n * MINUTE + timedelta(seconds=3))

    def fall(self, minutes: int = 1) -> waterfall.Waterfall:
        with self.ctx.db.read() as db:
            return waterfall.measure(db, START, START + minutes * MINUTE)

    def lost(self, minutes: int = 1) -> dict[str, float]:
        """Dollars a minute by cause."""
        found: dict[str, float] = {}
        rungs = self.fall(minutes).rungs
        check(list(rungs))
        for rung in rungs:
            for loss in rung.losses:
                found[loss.cause] = found.get(loss.cause, 0.0) + loss.usd_per_hour / 60
        return {cause: pytest.approx(usd, abs=1e-4) for cause, usd in found.items()}


def check(rungs: list[Rung]) -> None:
    """They fall, from the capacity, by what was lost."""
    for above, rung in itertools.pairwise(rungs):
        assert -1e-9 <= rung.usd_per_hour <= above.usd_per_hour + 1e-9
        lost = sum(loss.usd_per_hour for loss in rung.losses)
        assert rung.lost_usd_per_hour == pytest.approx(lost, abs=1e-6)
        assert rung.lost_usd_per_hour == pytest.approx(above.usd_per_hour - rung.usd_per_hour)
        assert bool(rung.who) == bool(rung.losses)


@pytest.fixture
def fleet(ctx: Context) -> Fleet:
    return Fleet(ctx)


def rung(fleet: Fleet, name: str) -> Rung:
    return next(rung for rung in fleet.fall().rungs if rung.name == name)


def test_three_agents_that_wait_for_the_human_are_his_whole_gap(fleet: Fleet) -> None:
    fleet.are("waiting_human", "waiting_human", "waiting_human")
    fleet.sample()
    assert fleet.lost() == {"waiting_human": 1.0}
    found = rung(fleet, "unblocked")
    assert (found.who, found.usd_per_hour) == ("you", pytest.approx(0.0))
    assert found.lost_usd_per_hour == pytest.approx(60.0)
    assert "waited for your answer" in found.says
    assert rung(fleet, "demanded").percent_of_capacity == pytest.approx(100.0)


def test_an_empty_backlog_is_the_backlogs(fleet: Fleet) -> None:
    fleet.are("idle", "idle", "idle")
    fleet.task(state="draft")
    fleet.task(state="queued", is_deferrable=True)
    waits = fleet.task(state="running")
    fleet.task(state="queued", after=[waits.id])
    fleet.sample()
    assert fleet.lost() == {"backlog": 1.0}
    assert rung(fleet, "demanded").who == "backlog"


def test_a_free_agent_while_a_task_waits_is_the_balancers(fleet: Fleet) -> None:
    fleet.are("idle", "idle", "idle")
    done = fleet.task(state="done")
    fleet.task(state="queued", after=[done.id])
    fleet.sample()
    assert fleet.lost() == {"backlog": 2 / 3, "unplaced": 1 / 3}
    assert rung(fleet, "placed").who == "balancer"


def test_too_few_agents_though_all_work_is_the_fleets(fleet: Fleet) -> None:
    fleet.are("decoding", "tool", "decoding")
    fleet.spend(fleet.session(), 0.4)
    fleet.sample()
    assert fleet.lost() == {"fleet": 0.6}
    found = rung(fleet, "placed")
    assert (found.who, found.usd_per_hour) == ("fleet", pytest.approx(24.0, abs=0.01))
    assert "add agents" in found.says


def test_no_enabled_agent_at_all_is_the_fleets(fleet: Fleet) -> None:
    fleet.are("idle", "idle", "idle")
    for worker in fleet.agents:
        fleet.change(worker, is_enabled=False)
    fleet.sample()
    assert fleet.lost() == {"fleet": 1.0}


def test_a_quota_waited_for_while_another_account_had_room_is_the_balancers(fleet: Fleet) -> None:
    other = fleet.login("Max 5x")
    fleet.change(fleet.account, limited_until=START + HOUR)
    fleet.are("waiting_quota", "waiting_quota", "waiting_quota")
    fleet.sample()
    assert fleet.lost() == {"refused": 1.0, "waiting_quota": 1.0}
    assert rung(fleet, "provisioned").who == "vendor"
    assert "Max 20x was at its limit" in rung(fleet, "provisioned").says
    assert rung(fleet, "placed").who == "balancer"
    fleet.change(other, limited_until=START + HOUR)
    fleet.sample(2)
    with fleet.ctx.db.read() as db:
        second = waterfall.measure(db, START + MINUTE, START + 2 * MINUTE).rungs
    assert {loss.cause for found in second for loss in found.losses} == {"refused"}


def test_an_accounts_own_throttle_is_the_vendors(fleet: Fleet) -> None:
    fleet.are("waiting_quota", "waiting_quota", "waiting_slot")
    fleet.sample()
    assert fleet.lost() == {"throttled": 2 / 3, "waiting_slot": 1 / 3}
    assert rung(fleet, "placed").who == "vendor"


def test_an_error_is_for_the_human_to_look_at(fleet: Fleet) -> None:
    fleet.are("error", "idle", "idle")
    fleet.sample()
    assert fleet.lost() == {"error": 1 / 3, "backlog": 2 / 3}


@pytest.mark.parametrize(
    ("change", "cause", "who"),
    [
        ({"login": "out"}, "login", "you"),
        ({"is_automatic": False}, "manual", "you"),
        ({"auth": "subscription", "config_dir": "/no/such/directory"}, "closed", "you"),
        ({"limited_until": START + HOUR}, "refused", "vendor"),
    ],
)
def test_an_account_out_of_service_is_lost_before_the_agents(
    fleet: Fleet, change: dict[str, Any], cause: str, who: str
) -> None:
    fleet.change(fleet.account, **change)
    fleet.are("waiting_human", "idle", "decoding")
    fleet.sample()
    assert fleet.lost() == {cause: 1.0}
    assert rung(fleet, "provisioned").who == who
    assert "Max 20x" in rung(fleet, "provisioned").says


def test_a_budget_that_is_used_up_is_told_from_a_refusal(fleet: Fleet) -> None:
    week = {"window_minutes": 10080, "resets_at": START + 50 * HOUR, "observed_at": START}
    factories.quota(fleet.ctx, fleet.account, "seven_day", 100.0, **week)
    fleet.are("waiting_quota", "waiting_quota", "waiting_quota")
    fleet.sample()
    assert fleet.lost() == {"dry": 1.0}


def test_a_window_of_one_model_closes_nothing(fleet: Fleet) -> None:
    week = {"window_minutes": 10080, "resets_at": START + 50 * HOUR, "observed_at": START}
    factories.quota(fleet.ctx, fleet.account, "seven_day_opus", 100.0, **week)
    factories.quota(fleet.ctx, fleet.account, "seven_day", 60.0, **week)
    fleet.are("idle", "idle", "idle")
    fleet.sample()
    assert fleet.lost() == {"backlog": 1.0}


def test_what_the_human_keeps_for_himself_is_not_the_agents_loss(fleet: Fleet) -> None:
    fleet.change(fleet.account, reserve_percent=25.0)
    fleet.are("idle", "idle", "idle")
    outside = OutsideMinute(account_id=fleet.account.id, model=MODEL, minute=NOON)
    factories.save(fleet.ctx, outside)
    fleet.sample()
    assert fleet.lost() == {"reserve": 0.25, "backlog": 0.75}


def test_the_humans_own_use_is_use(fleet: Fleet) -> None:
    price = equivalent_usd(MODEL, output=1_000_000)
    assert price
    used = {"output_tokens": round(0.9 / price * 1_000_000)}
    outside = OutsideMinute(account_id=fleet.account.id, model=MODEL, minute=NOON, **used)
    factories.save(fleet.ctx, outside)
    fleet.change(fleet.account, reserve_percent=25.0)
    fleet.are("idle", "idle", "idle")
    fleet.sample()
    assert fleet.lost() == {"reserve": 0.1}


def test_an_account_of_unknown_size_is_left_out_and_named(fleet: Fleet) -> None:
    key = fleet.login("key", week_usd=None)
    fleet.are("idle", "idle", "idle")
    fleet.spend(fleet.session(fleet.agent("elm", key)), 5.0)
    fleet.sample()
    found = fleet.fall()
    assert found.left_out == ("key",)
    assert found.rungs[0].usd_per_hour == pytest.approx(60.0)
    assert "key" in found.rungs[0].says
    assert found.rungs[-1].usd_per_hour == pytest.approx(0.0)


def test_without_any_known_size_there_are_no_rungs(fleet: Fleet) -> None:
    fleet.change(fleet.account, week_usd=None)
    fleet.sample()
    found = fleet.fall()
    assert (found.rungs, found.measured_minutes, found.left_out) == ((), 1, ("Max 20x",))


def test_a_model_without_a_price_is_said(fleet: Fleet) -> None:
    fleet.are("decoding", "decoding", "decoding")
    session = fleet.session()
    row = {"session_id": session.id, "account_id": session.account_id, "minute": NOON}
    factories.save(fleet.ctx, UsageMinute(**row, model="homegrown-7b", output_tokens=9))
    fleet.sample()
    assert fleet.fall().partial == ("Max 20x",)
    assert fleet.lost() == {"fleet": 1.0}


def test_what_is_spent_ahead_makes_up_for_the_quiet_time_after(fleet: Fleet) -> None:
    fleet.are("decoding", "decoding", "decoding")
    fleet.spend(fleet.session(), 1.6)
    fleet.sample()
    fleet.change(fleet.account, limited_until=START + HOUR)
    fleet.sample(2)
    assert fleet.lost(2) == {"refused": 0.2}
    assert fleet.fall(2).rungs[-1].percent_of_capacity == pytest.approx(80.0, abs=0.1)


def test_no_account_makes_up_for_another(fleet: Fleet) -> None:
    fleet.login("Max 5x")
    fleet.are("decoding", "decoding", "decoding")
    fleet.spend(fleet.session(), 5.0)
    fleet.sample()
    assert fleet.lost() == {"fleet": 1.0}
    assert fleet.fall().rungs[-1].percent_of_capacity == pytest.approx(50.0)


# -- time -------------------------------------------------------------------------------------


def test_a_minute_is_looked_at_once(fleet: Fleet) -> None:
    fleet.are("idle", "idle", "idle")
    assert waterfall.sample(fleet.ctx, START + MINUTE) == 1
    assert waterfall.sample(fleet.ctx, START + MINUTE + timedelta(seconds=59)) == 0
    assert waterfall.sample(fleet.ctx, START + 2 * MINUTE) == 1


def test_hours_without_a_server_are_lost_to_the_human_but_for_what_was_spent(fleet: Fleet) -> None:
    fleet.are("decoding", "decoding", "decoding")
    fleet.sample()
    fleet.spend(fleet.session(), 1.0, minute=NOON + 30)
    waterfall.sample(fleet.ctx, START + HOUR)
    found = fleet.lost(60)
    assert found["off"] == pytest.approx((58 - 1) / 60, abs=1e-3)
    assert fleet.fall(60).measured_minutes == 60
    assert rung(fleet, "capacity").usd_per_hour == pytest.approx(60.0)


def test_a_few_missed_minutes_are_read_from_the_clocks(fleet: Fleet) -> None:
    fleet.are("idle", "idle", "idle")
    fleet.sample()
    waterfall.sample(fleet.ctx, START + 5 * MINUTE)
    assert fleet.lost(5) == {"backlog": 1.0}


def test_a_clock_that_was_set_back_is_followed(fleet: Fleet) -> None:
    fleet.are("idle", "idle", "idle")
    fleet.sample(3)
    waterfall.sample(fleet.ctx, START + 2 * MINUTE)
    with fleet.ctx.db.read() as db:
        assert store.last_minute(db) == NOON + 1
        assert db.get(LadderMinute, NOON + 2) is None


def test_what_is_told_late_is_measured_again(fleet: Fleet) -> None:
    fleet.are("decoding", "decoding", "decoding")
    session = fleet.session()
    fleet.sample()
    fleet.spend(session, 0.5)
    fleet.sample(2)
    assert fleet.lost(1) == {"fleet": 0.5}
    with fleet.ctx.db.read() as db:
        row = db.get_one(LadderMinute, NOON)
    assert row.useful == pytest.approx(30.0, abs=0.01)
    assert row.capacity == row.provisioned == row.unblocked == 60.0
    fleet.spend(session, 0.25, minute=NOON + 1)
    waterfall.sample(fleet.ctx, START + 10 * HOUR)
    assert fleet.lost(2)["fleet"] == pytest.approx((0.5 + 0.75) / 2, abs=1e-4)


# -- reading again ----------------------------------------------------------------------------

READ = {"input_tokens": 1_000, "cache_write_tokens": 20_000}


def reread(fleet: Fleet, minutes: int = 600) -> dict[int, float]:
    """Dollars of contexts read again, by minute after noon."""
    with fleet.ctx.db.read() as db:
        found = spending.by_minute(db, NOON, NOON + minutes)
        pieces = [spending.by_minute(db, at, at + 1) for at in range(NOON, NOON + minutes)]
    joined = {key: value for piece in pieces for key, value in piece.items()}
    assert joined == found, "however the minutes are cut, it is the same"
    return {
        minute - NOON: paid.reread_usd for (minute, _), paid in found.items() if paid.reread_usd
    }


def cost(share: float = 1.0) -> Any:
    usd = equivalent_usd(MODEL, fresh_input=1_000, cache_write=20_000)
    assert usd
    return pytest.approx(usd * share)


def test_the_first_reading_and_a_warm_one_are_work(fleet: Fleet) -> None:
    session = fleet.session()
    for minute in (0, 1, 6):
        fleet.spend(session, 0.1, NOON + minute, **READ)
    assert reread(fleet) == {}


def test_a_moved_session_reads_its_context_again(fleet: Fleet) -> None:
    other = fleet.login("Max 5x", auth="subscription", driver="scripted")
    session = fleet.session()
    fleet.spend(session, 0.5, NOON, **READ)
    row = {"session_id": session.id, "account_id": other.id, "first_seq": 9}
    factories.save(fleet.ctx, SessionAccount(**row))
    session.account_id = other.id or 0
    fleet.spend(session, 0.5, NOON + 2, **READ)
    fleet.spend(session, 0.5, NOON + 3, **READ)
    assert reread(fleet) == {2: cost()}


def test_a_cache_that_died_of_silence_is_written_again(fleet: Fleet) -> None:
    login = fleet.login("Max 5x", auth="subscription", driver="claude_code")
    worker = fleet.agent("elm", login)
    session, key = fleet.session(worker), fleet.session()
    for minute in (0, 60, 121):
        fleet.spend(session, 0.5, NOON + minute, **READ)
    for minute in (200, 205, 211):
        fleet.spend(key, 0.5, NOON + minute, **READ)
    assert reread(fleet) == {121: cost(), 211: cost()}


def test_a_session_that_goes_on_with_anothers_work_reads_at_most_that(fleet: Fleet) -> None:
    first = fleet.session()
    fleet.spend(first, 0.0, NOON, input_tokens=10_500)
    fleet.spend(fleet.session(continues_id=first.id), 0.5, NOON + 7, **READ)
    fleet.spend(fleet.session(continues_id="s-gone"), 0.5, NOON + 8, **READ)
    assert reread(fleet) == {7: cost(0.5)}


def test_contexts_read_again_are_not_useful(fleet: Fleet) -> None:
    fleet.are("decoding", "decoding", "decoding")
    session = fleet.session()
    fleet.spend(session, 0.5, NOON - 10, **READ)
    fleet.spend(session, 0.0, NOON, **READ)
    fleet.sample()
    assert fleet.lost() == {"reread": cost().expected, "fleet": 1 - cost().expected}
    assert rung(fleet, "useful").who == "work"
