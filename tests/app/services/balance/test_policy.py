"""Each rule of the balancer's policy in a small case, and what always holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.balance import (
    AccountView,
    TaskView,
    Window,
    after_limit,
    at_turn_end,
    place,
    weigh,
)

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
TASK = TaskView("t1")
LIVE = TaskView("t1", home_id="a", reread_dollars=1.0, is_warm=True)


def hours(count: float) -> datetime:
    return NOW + timedelta(hours=count)


def account(
    name: str,
    *,
    week: float | None = 50,
    week_hours: float = 84,
    short: float | None = 0,
    short_hours: float | None = None,
    size: float = 1000,
    family: str = "x",
) -> AccountView:
    """An account at these percents, its 5-hour window a tenth of its week."""
    resets_at = None if short_hours is None else hours(short_hours)
    windows = (
        Window(300, size / 10, short, resets_at),
        Window(10080, size, week, hours(week_hours)),
    )
    return AccountView(name, family, windows)


def test_new_work_goes_where_the_budget_would_expire() -> None:
    soon, late = account("soon", week_hours=20), account("late", week_hours=150)
    decision = place(TASK, [late, soon], NOW)
    assert (decision.action, decision.account_id) == ("start", "soon")
    assert [one.account_id for one in decision.weighed] == ["late", "soon"]
    assert "2.45 % of its budget an hour" in decision.reason


def test_equal_pressure_goes_to_the_fewest_live_sessions_then_to_the_humans_order() -> None:
    busy, calm = replace(account("a"), running=3), account("b")
    assert place(TASK, [busy, calm], NOW).account_id == "b"
    first = replace(account("z"), rank=-1)
    assert place(TASK, [calm, first], NOW).account_id == "z"


def test_a_small_throttle_left_takes_no_new_work() -> None:
    tight = account("tight", week_hours=20, short=97, short_hours=4)
    assert place(TASK, [tight, account("b")], NOW).account_id == "b"
    assert "left for now" in weigh(TASK, tight, NOW).refusal


def test_a_throttle_about_to_reset_takes_new_work() -> None:
    assert not weigh(TASK, account("a", short=97, short_hours=0.1), NOW).refusal


def test_a_small_plan_takes_one_session_not_a_herd() -> None:
    small = account("small", size=60)
    assert not weigh(TASK, small, NOW).refusal
    taken = replace(small, running=1, burn_dollars_per_hour=8.0)
    assert weigh(TASK, taken, NOW).refusal


def test_a_budget_that_would_end_before_the_task_admits_none() -> None:
    ending = account("a", week=98.9, week_hours=40)
    assert "of the budget" in weigh(TASK, ending, NOW).refusal
    assert not weigh(TASK, account("a", week=98.9, week_hours=1), NOW).refusal


def test_the_humans_reserve_and_his_never_automatic_are_kept() -> None:
    reserved = replace(account("a", week=85, week_hours=1), reserve=0.2)
    assert "human" in weigh(TASK, reserved, NOW).refusal
    assert weigh(TASK, replace(account("a"), is_automatic=False), NOW).refusal


def test_family_model_and_places_are_respected() -> None:
    task = TaskView("t1", frozenset(["y"]), "big")
    one = account("a", family="y")
    assert weigh(task, account("a"), NOW).refusal == "another vendor"
    assert weigh(task, replace(one, models=frozenset(["small"])), NOW).refusal
    assert weigh(task, replace(one, max_running=2, running=2), NOW).refusal
    assert not weigh(task, one, NOW).refusal


def test_an_account_without_windows_is_overflow() -> None:
    key = AccountView("key", "x")
    assert place(TASK, [key], NOW).action == "park"
    task = replace(TASK, may_overflow=True)
    assert place(task, [key], NOW).account_id == "key"
    assert place(task, [key, account("a")], NOW).account_id == "a"


def test_all_dry_parks_until_the_first_returns() -> None:
    dry = [replace(account(n), limited_until=hours(h)) for n, h in (("a", 3), ("b", 1))]
    decision = place(TASK, dry, NOW)
    assert (decision.action, decision.account_id, decision.until) == ("park", None, hours(1))


def test_a_warm_session_goes_home_and_a_cold_one_where_the_pressure_is() -> None:
    home, better = account("a", week_hours=150), account("b", week_hours=20)
    assert place(LIVE, [home, better], NOW).account_id == "a"
    cold = replace(LIVE, is_warm=False)
    decision = place(cold, [home, better], NOW)
    assert (decision.action, decision.account_id) == ("move", "b")
    near = account("b", week_hours=130)
    assert place(cold, [home, near], NOW).account_id == "a"


def test_a_session_leaves_an_account_that_runs_dry_where_it_may() -> None:
    dry = replace(account("a", short=99, short_hours=3), burn_dollars_per_hour=16.0)
    assert at_turn_end(LIVE, [dry, account("b")], NOW).account_id == "b"
    bound = replace(LIVE, families=frozenset("x"))
    assert at_turn_end(bound, [dry, account("b", family="y")], NOW).action == "park"
    assert at_turn_end(LIVE, [account("a"), account("b")], NOW).action == "stay"


def test_a_session_rests_between_moves() -> None:
    dry = account("a", short=100, short_hours=3)
    moved = replace(LIVE, moved_at=NOW - timedelta(minutes=1))
    assert at_turn_end(moved, [dry, account("b")], NOW).action == "park"
    assert at_turn_end(replace(LIVE, moves_today=2), [dry, account("b")], NOW).action == "park"


@pytest.mark.parametrize(
    ("back", "reread", "action"), [(0.4, 0.1, "hold"), (3, 1.0, "move"), (3, 30.0, "park")]
)
def test_a_refused_session_waits_moves_or_parks(back: float, reread: float, action: str) -> None:
    home = replace(account("a"), limited_until=hours(back))
    task = replace(LIVE, reread_dollars=reread)
    decision = after_limit(task, [home, account("b")], NOW)
    assert decision.action == action
    assert decision.account_id == {"hold": "a", "move": "b", "park": None}[action]


percents = st.none() | st.floats(-50, 250)
moments = st.none() | st.floats(-200, 200).map(hours)
windows = st.builds(Window, st.sampled_from([300, 10080]), st.floats(1, 1000), percents, moments)
accounts = st.lists(
    st.builds(
        AccountView,
        st.sampled_from("abcdef"),
        st.sampled_from("xy"),
        st.lists(windows, max_size=3).map(tuple),
        st.integers(0, 20),
        st.floats(0, 200),
        moments,
    ),
    max_size=6,
    unique_by=lambda one: one.id,
)
tasks = st.builds(
    TaskView,
    st.just("t"),
    st.none() | st.just(frozenset("x")),
    home_id=st.none() | st.sampled_from("abcdef"),
    reread_dollars=st.floats(0, 5),
    is_warm=st.booleans(),
)


@given(tasks, accounts)
def test_a_refused_account_never_gets_work(task: TaskView, views: list[AccountView]) -> None:
    limited = {view.id for view in views if view.is_limited(NOW)}
    for decide in (place, at_turn_end, after_limit):
        decision = decide(task, views, NOW)
        if decision.action in ("start", "move"):
            assert decision.account_id not in limited
            assert decision.account_id in {view.id for view in views}


@given(tasks, accounts)
def test_the_order_of_the_accounts_does_not_matter(
    task: TaskView, views: list[AccountView]
) -> None:
    for decide in (place, at_turn_end, after_limit):
        one, other = decide(task, views, NOW), decide(task, views[::-1], NOW)
        assert (one.action, one.account_id, one.until) == (
            other.action,
            other.account_id,
            other.until,
        )


@given(windows)
def test_what_the_meter_did_not_say_is_not_zero(window: Window) -> None:
    if window.used_percent is None or (window.resets_at and window.resets_at <= NOW):
        assert window.used(NOW) == 0.5
    assert 0 <= window.used(NOW) <= 1
    assert window.hours_left(NOW) > 0
