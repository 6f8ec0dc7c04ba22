"""What the policy is given: finite numbers whatever a meter says, and unknown stays unknown."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models import Account, Agent, QuotaReading
from app.models.base import utc_now
from app.services.balance import AccountView, TaskView, place
from app.services.balance.filler import fillable
from app.services.balance.windows import UNKNOWN_USED
from app.services.context import Context
from app.services.placing import Board
from app.services.scales import Scales, view, weigh_accounts
from app.store.tasks import Waiting
from tests.app.services.ports import Harbour

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
numbers = st.one_of(st.floats(), st.integers(-(10**9), 10**9).map(float))
minutes = st.one_of(st.none(), st.integers(-10, 10**7), st.sampled_from([1, 300, 18000, 10080]))
times = st.one_of(
    st.none(), st.datetimes(datetime(1971, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC))
)


def reading(**more: object) -> QuotaReading:
    given = {"account_id": 1, "kind": "seven_day", "used_percent": 50.0, "observed_at": NOW}
    return QuotaReading(**given | more)


readings = st.lists(
    st.builds(
        reading,
        kind=st.sampled_from(["five_hour", "seven_day", "primary", "seven_day_opus", "", "5h"]),
        used_percent=numbers,
        window_minutes=minutes,
        resets_at=times,
        status=st.sampled_from(["allowed", "warning", "rejected", "?"]),
        refused_until=times,
        observed_at=st.datetimes(
            datetime(1971, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC)
        ),
        capacity_usd=st.one_of(st.none(), numbers),
    ),
    max_size=5,
)
logins = st.builds(
    Account,
    id=st.just(1),
    name=st.just("Max"),
    driver=st.sampled_from(["claude_code", "codex", "no such driver"]),
    plan=st.sampled_from(["", "max_20x", "pro", "?"]),
    week_usd=st.one_of(st.none(), numbers),
    reserve_percent=numbers,
    limited_until=times,
)


def finite(seen: AccountView) -> bool:
    told = [seen.reserve, seen.burn_dollars_per_hour]
    for window in seen.windows:
        told += [window.used(NOW), window.left_dollars(NOW), window.hours_left(NOW)]
    return all(math.isfinite(number) for number in told)


@given(logins, readings)
def test_a_lying_meter_never_crashes_the_balancer(
    account: Account, told: list[QuotaReading]
) -> None:
    seen = view(account, told, NOW)
    assert finite(seen)
    assert seen.windows
    fillable([seen], 0, NOW)
    decision = place(TaskView("1"), [seen], NOW)
    assert all(math.isfinite(one.pressure_per_hour) for one in decision.weighed)
    agent = Agent(id=1, name="maple", driver=account.driver, account_id=1)
    task = Waiting(1, 0, 1.0, None, False, [], [], False, None, None)
    for mode in ("off", "advise", "auto_all"):
        board = Board(Scales(NOW, {1: account}, {1: seen}, {}), mode, {1: agent})
        board.fill([task], 1)


@given(readings)
def test_unknown_never_becomes_nothing_used(told: list[QuotaReading]) -> None:
    """A window counts as empty only where a meter said so of the window that still runs."""
    account = Account(id=1, name="Max", driver="claude_code")
    said_low = {
        one.window_minutes
        for one in told
        if math.isfinite(one.used_percent)
        and one.used_percent < 100 * UNKNOWN_USED
        and (one.resets_at is None or one.resets_at > NOW)
    }
    for window in view(account, told, NOW).windows:
        if window.minutes not in said_low:
            assert window.used(NOW) >= UNKNOWN_USED


def test_a_login_that_was_never_read_is_half_used_and_not_a_key() -> None:
    (window,) = view(Account(id=1, name="Max", driver="claude_code"), [], NOW).windows
    assert (window.is_budget, window.used_percent, window.used(NOW)) == (True, None, 0.5)
    key = Account(id=1, name="Key", driver="claude_code", auth="api_key")
    assert view(key, [reading(window_minutes=10080)], NOW).windows == ()


def test_a_reading_from_before_the_reset_is_unknown() -> None:
    old = reading(used_percent=3.0, window_minutes=10080, resets_at=NOW - timedelta(minutes=1))
    (window,) = view(Account(id=1, name="Max", driver="claude_code"), [old], NOW).windows
    assert (window.used_percent, window.used(NOW)) == (None, 0.5)


def test_a_refusal_for_ever_is_tried_again_after_days() -> None:
    never = reading(status="rejected", refused_until=datetime(2800, 1, 1, tzinfo=UTC))
    seen = view(Account(id=1, name="Max", driver="claude_code"), [never], NOW)
    assert seen.limited_until == NOW + timedelta(days=8)


def test_a_window_of_one_model_does_not_close_the_account() -> None:
    opus = reading(
        kind="seven_day_opus", window_minutes=10080, used_percent=100.0, status="rejected",
        refused_until=NOW + timedelta(days=2),
    )  # fmt: skip
    seen = view(Account(id=1, name="Max", driver="claude_code"), [opus], NOW)
    assert not seen.is_limited(NOW)
    assert seen.windows[0].used(NOW) == 0.5


def test_live_sessions_burn_what_they_burnt_or_the_usual(ctx: Context, harbour: Harbour) -> None:
    login = harbour.login("Max", 10, daily_cap_usd=100.0)
    young = harbour.at_work(harbour.agent("maple", login))
    harbour.spent(young, 5.0)
    with ctx.db.read() as db:
        scales = weigh_accounts(db, utc_now())
    seen = scales.views[login.id or 0]
    assert (seen.running, seen.burn_dollars_per_hour, seen.closed) == (1, 8.0, "")


def test_an_account_over_its_daily_cap_is_closed(ctx: Context, harbour: Harbour) -> None:
    login = harbour.login("Max", 10, daily_cap_usd=4.0)
    harbour.spent(harbour.at_work(harbour.agent("maple", login)), 5.0)
    with ctx.db.read() as db:
        seen = weigh_accounts(db, utc_now()).views[login.id or 0]
    assert "$5.00 of its $4.00" in seen.closed


@pytest.mark.parametrize("used", [0.0, 100.0])
def test_a_reset_further_away_than_the_window_is_no_time(used: float) -> None:
    far = reading(used_percent=used, window_minutes=300, resets_at=NOW + timedelta(days=9))
    seen = view(Account(id=1, name="Max", driver="claude_code"), [far], NOW)
    window = next(window for window in seen.windows if window.minutes == 300)
    assert window.resets_at is None
    assert window.used_percent == (None if used == 0 else used)
