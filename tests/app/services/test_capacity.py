"""What a window holds: the human's word, what was measured, the plan's prior, else unknown."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from agents import registry
from app.models import Account, QuotaReading, UsageMinute
from app.models.base import utc_now
from app.services import capacity, slopes
from app.services.capacity import UNKNOWN, Capacity
from app.services.context import Context
from app.services.prices import equivalent_usd
from app.store import quota
from tests.app import factories as make
from tests.app.services.weeks import sample

NOW = utc_now().replace(microsecond=0)
HOUR = timedelta(hours=1)
PLAN = registry.driver("claude_code").capabilities.plans[0]


def window(kind: str = "seven_day", minutes: int | None = 10080, used: float = 10) -> QuotaReading:
    return QuotaReading(
        account_id=1, kind=kind, used_percent=used, window_minutes=minutes, observed_at=NOW
    )


def account(**more: object) -> Account:
    return Account(**{"name": "a", "driver": "claude_code"} | more)


def test_the_humans_word_comes_first_then_the_measure_then_the_plan() -> None:
    week = window()
    planned = account(plan=PLAN.id)
    assert capacity.of_window(planned, week) == Capacity(PLAN.week_usd, "plan")
    assert capacity.of_window(planned, window("five_hour", 300)).usd == PLAN.short_usd
    week.capacity_usd = 321.0
    assert capacity.of_window(planned, week) == Capacity(321.0, "measured")
    assert capacity.of_window(account(week_usd=500), week) == Capacity(500.0, "stated")
    assert capacity.of_window(account(week_usd=500), window("43200m", 43200)).usd == pytest.approx(
        500 * 30 / 7
    )


def test_what_nobody_knows_is_unknown() -> None:
    for row in (
        window("five_hour", 300),
        window(minutes=None),
        window("seven_day_small"),  # of some models only
        window("requests_per_minute", 1),
    ):
        assert capacity.of_window(account(plan="homemade"), row) == UNKNOWN
    assert capacity.of_window(account(driver="gone", plan="x"), window()) == UNKNOWN
    for lie in (0.0, -5.0, float("nan"), float("inf")):
        assert capacity.of_window(account(week_usd=lie), window()) == UNKNOWN
    assert capacity.of_account(account(), []) == UNKNOWN


def test_an_account_is_as_big_as_its_binding_budget() -> None:
    rows = [
        window("five_hour", 300, 99),
        window("seven_day_small", 10080, 95),
        window("seven_day", 10080, 40),
    ]
    assert capacity.binding(rows) is rows[2]
    assert capacity.of_account(account(week_usd=700), rows).usd == 700
    assert capacity.of_account(account(week_usd=700), []).usd == 700
    assert capacity.of_account(account(week_usd=700), rows[1:2]).usd == 700
    assert capacity.of_account(account(plan=PLAN.id), rows[1:2]).usd == PLAN.week_usd
    month = window("43200m", 43200)
    month.capacity_usd = 3000.0
    assert capacity.of_account(account(), [month]).usd == pytest.approx(700)


def test_a_budget_whose_name_is_not_told_any_more_does_not_bind() -> None:
    old, new = window("seven_day", used=90), window("weekly", used=5)
    old.observed_at = NOW - 30 * HOUR
    assert capacity.binding([old, new]) is new


def test_a_slope_is_found_under_rounding_falls_and_leaps() -> None:
    dollars, used, spent = 0.05, 0.0, {}
    points = []
    for slot in range(1000):
        spent[slot] = dollars * (slot % 7)
        used += 100 * spent[slot] / 250  # what 100 % cost
        points.append((slot, float(int(used) % 100)))
    points[500] = (500, 0.0)  # lies
    points[600] = (600, 99.0)
    found = slopes.capacity_usd(points, spent)
    assert found == pytest.approx(250, rel=0.05)


def test_too_little_evidence_says_nothing() -> None:
    assert slopes.capacity_usd([], {}) is None
    assert slopes.capacity_usd([(1, 0.0), (2, 2.0), (3, 3.0)], {2: 4.0, 3: 2.0}) is None
    rising = [(slot, float(slot)) for slot in range(20)]
    assert slopes.capacity_usd(rising, {}) is None  # somebody else's work
    assert slopes.capacity_usd(rising, {3: 5.0}) is None  # mostly somebody else's
    assert slopes.capacity_usd(rising, dict.fromkeys(range(20))) is None  # no price known
    assert slopes.capacity_usd(rising, dict.fromkeys(range(20), 2.0)) == pytest.approx(200)


PERCENTS = st.floats(0, 100)


@bounds(deadline=None)
@given(st.lists(PERCENTS, max_size=60), st.lists(st.none() | st.floats(0, 1e6), max_size=60))
def test_no_meter_breaks_a_slope(told: list[float], paid: list[float | None]) -> None:
    found = slopes.capacity_usd(list(enumerate(told)), dict(enumerate(paid)))
    assert found is None or 0 < found < 1e9


MODEL = "claude-sonnet-4-5"


def spend(ctx: Context, login: Account, minutes_ago: int, output: int) -> float:
    """One minute of work; what it cost."""
    with ctx.db.write() as db:
        row = UsageMinute(
            session_id="s-worker",
            account_id=login.id or 0,
            model=MODEL,
            minute=int(NOW.timestamp()) // 60 - minutes_ago,
        )
        row.output_tokens = output
        db.add(row)
    return equivalent_usd(MODEL, output=output) or 0.0


def test_it_learns_from_the_ledger_what_a_window_holds(ctx: Context) -> None:
    login = make.account(ctx)
    worker = make.agent(ctx, "maple", login)
    make.session(ctx, worker, make.task(ctx, make.repository(ctx)), id="s-worker")
    make.quota(ctx, login, "seven_day", 50, window_minutes=10080, observed_at=NOW)
    used, paid = 0.0, 0.0
    with ctx.db.write() as db:
        db.add(sample(NOW - timedelta(minutes=605), 0.0, login=login.id or 0))
    for step in range(120):
        paid += spend(ctx, login, 600 - 5 * step, 20_000)
        used = 100 * paid / 150
        with ctx.db.write() as db:
            at = NOW - timedelta(minutes=600 - 5 * step)
            db.add(sample(at, float(int(used)), login=login.id or 0))
    assert used > 10
    assert capacity.learn(ctx, NOW) == 1
    with ctx.db.read() as db:
        row = quota.reading(db, login.id or 0, "seven_day")
    assert row is not None
    assert row.capacity_usd == pytest.approx(150, rel=0.1)
    assert capacity.learn(ctx, NOW) == 0  # nothing new
