"""Where work goes: to the account whose budget is most at risk of expiring unused.

Pressure is the budget left divided by the time left; filling where it is highest lets all budgets
reach 100 % as they reset. Two guards keep work off accounts that would stop it half way, and live
sessions move only to dodge a stall that costs more than reading their context again.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from app.services.balance.windows import AccountView, Decision, TaskView, Weighed

TARGET = 0.99  # of a budget that we plan to use: meters are whole percents
MIN_HOURS = 0.5  # below, pressure would explode on the last minutes of a window
GUARD_HOURS = 1.5  # a throttle must last new work this long, or to its reset
GUARD_FRESH = 0.6  # a throttle this empty takes one session, however small the plan
TASK_DOLLARS = 3.5  # about a median task: what admission wants left for each session
ADMIT_SHARE = 0.15  # small plans: never ask for more than this share of the budget for one session
LAST_HOURS = 2.0  # before a reset one session may always use up what is left
TIE = 1.15  # pressures this close are equal: fewest live sessions decides
BETTER = 1.25  # a session leaves a home that would take it only for this much more pressure
DRY_HOURS = 0.2  # a throttle that lasts less than 12 minutes is about to stop its sessions
HOLD_HOURS = 0.5  # a stall this short is waited for in place
MOVE_PAUSE = timedelta(minutes=5)  # between two moves of one session
MAX_MOVES_A_DAY = 2  # of one session, to dodge a limit that has not come yet


def place(task: TaskView, accounts: Sequence[AccountView], now: datetime) -> Decision:
    """The account for new work, or for a session that goes on; "park" where none will do."""
    home = _home(task, accounts)
    weighed = tuple(weigh(task, account, now) for account in accounts)
    stall = _stall(task, home, now) if home else None
    if home is not None and task.is_warm and stall is None and not _closed(task, home, now):
        return Decision("start", home.id, "its prompt cache is there", None, weighed)
    best = _best(weighed, accounts, exclude=None)
    if best is None:
        return Decision("park", None, "no account can take it", _returns_at(accounts, now), weighed)
    kept = _of(weighed, task.home_id)
    if kept and not kept.refusal and best.pressure_per_hour < BETTER * kept.pressure_per_hour:
        return Decision("start", kept.account_id, "its home is as good as any", None, weighed)
    if stall is not None and not _pays(task, stall, now):
        return Decision("park", None, "waiting costs less than moving", stall, weighed)
    reason = f"the highest pressure: {100 * best.pressure_per_hour:.2f} % of its budget an hour"
    if task.home_id in (None, best.account_id):
        return Decision("start", best.account_id, reason, None, weighed)
    return Decision("move", best.account_id, reason, None, weighed)


def at_turn_end(task: TaskView, accounts: Sequence[AccountView], now: datetime) -> Decision:
    """Whether a live session stays, or leaves an account whose throttle is about to run dry.

    Its account's view is without it. Each session that leaves takes its burn along, so that those
    that end their turn later may stay.
    """
    home = _home(task, accounts)
    stall = _stall(task, home, now) if home else None
    if home is None or stall is None:
        return Decision("stay", task.home_id, "its account lasts")
    return _leave(task, home, accounts, stall, now)


def after_limit(task: TaskView, accounts: Sequence[AccountView], now: datetime) -> Decision:
    """What a session does whose account was refused: wait in place, move, or free its slot."""
    home = _home(task, accounts)
    if home is None or home.limited_until is None:
        return Decision("park", None, "nobody says when its quota returns")
    return _leave(task, home, accounts, home.limited_until, now)


def _leave(
    task: TaskView,
    home: AccountView,
    accounts: Sequence[AccountView],
    stall: datetime,
    now: datetime,
) -> Decision:
    """What a session does that would stand still until `stall`."""
    weighed = tuple(weigh(task, account, now) for account in accounts)
    if stall - now <= timedelta(hours=HOLD_HOURS):
        return Decision("hold", home.id, "its quota returns soon", stall, weighed)
    best = _best(weighed, accounts, exclude=home.id)
    if best is None:
        return Decision("park", None, "no account can take it", stall, weighed)
    if task.moved_at is not None and now - task.moved_at < MOVE_PAUSE:
        return Decision("park", None, "it moved just now", stall, weighed)
    if task.moves_today >= MAX_MOVES_A_DAY:
        return Decision("park", None, "it moved often enough today", stall, weighed)
    if not _pays(task, stall, now):
        return Decision("park", None, "waiting costs less than moving", stall, weighed)
    return Decision("move", best.account_id, "its account runs dry", None, weighed)


def weigh(task: TaskView, account: AccountView, now: datetime) -> Weighed:
    """The numbers of one account for one task, and why it will not do, if so."""
    budgets = [window for window in account.windows if window.is_budget]
    throttles = [window for window in account.windows if not window.is_budget]
    shares = [
        (TARGET - w.used(now) - account.reserve) / max(w.hours_left(now), MIN_HOURS)
        for w in budgets
    ]
    return Weighed(
        account_id=account.id,
        pressure_per_hour=min(shares, default=0.0),
        budget_left_dollars=min((w.left_dollars(now) for w in budgets), default=0.0),
        throttle_left_dollars=min((w.left_dollars(now) for w in throttles), default=0.0),
        running=account.running,
        refusal=_closed(task, account, now) or _guarded(task, account, now),
    )


def _closed(task: TaskView, account: AccountView, now: datetime) -> str:
    """Why the balancer may not use the account at all."""
    if why := barred(account, now):
        return why
    if not account.is_automatic:
        return "never automatic"
    if task.families is not None and account.family not in task.families:
        return "another vendor"
    if not account.allows(task.model or ""):
        return "not with this model"
    if not account.windows and not task.may_overflow:
        return "it is paid by use"
    return ""


def barred(account: AccountView, now: datetime) -> str:
    """Why nothing may begin there now, by whoever's wish."""
    if account.is_limited(now):
        return f"refused until {account.limited_until:%H:%M}"
    if account.closed:
        return account.closed
    if account.max_running is not None and account.running >= account.max_running:
        return "all its places are taken"
    budgets = (window for window in account.windows if window.is_budget)
    if account.reserve > 0 and any(1 - w.used(now) <= account.reserve for w in budgets):
        return "the rest is the human's"
    return ""


def _guarded(task: TaskView, account: AccountView, now: datetime) -> str:
    """Why the work would be stopped half way: by the throttle, or by the end of the budget."""
    rate, others = task.dollars_per_hour, account.running
    burn = account.burn_dollars_per_hour + rate
    for window in account.windows:
        left, hours = window.left_dollars(now), window.hours_left(now)
        if not window.is_budget:
            needed = burn * min(GUARD_HOURS, hours)
            if not others:
                needed = min(needed, GUARD_FRESH * window.capacity_dollars)
            if left < needed:
                return f"${left:.2f} left for now, ${needed:.2f} needed"
            continue
        room = (TARGET - window.used(now) - account.reserve) * window.capacity_dollars
        if hours < LAST_HOURS:
            needed = min(TASK_DOLLARS * others, burn * hours) if others else -math.inf
        else:
            needed = TASK_DOLLARS * (others + 1)
            if not others:
                needed = min(needed, ADMIT_SHARE * window.capacity_dollars)
        if room < needed:
            return f"${room:.2f} left of the budget, ${needed:.2f} wanted"
    return ""


def _best(
    weighed: Sequence[Weighed], accounts: Sequence[AccountView], exclude: str | None
) -> Weighed | None:
    """The highest pressure; among ties, the fewest live sessions, then the human's order."""
    ranks = {account.id: account.rank for account in accounts if account.id != exclude}
    fit = [one for one in weighed if not one.refusal and one.account_id in ranks]
    if not fit:
        return None
    top = max(one.pressure_per_hour for one in fit)
    tied = [
        one for one in fit if one.pressure_per_hour == top or one.pressure_per_hour * TIE >= top
    ]
    return min(tied, key=lambda one: (one.running, ranks[one.account_id], one.account_id))


def _stall(task: TaskView, account: AccountView, now: datetime) -> datetime | None:
    """Until when the session would stand still on its account; None where it can go on."""
    ends = [account.limited_until] if account.is_limited(now) else []
    burn = account.burn_dollars_per_hour + task.dollars_per_hour
    for window in account.windows:
        is_dry = window.left_dollars(now) < DRY_HOURS * burn
        if not window.is_budget and is_dry and window.hours_left(now) > HOLD_HOURS:
            ends.append(window.resets_at)
    return max((end for end in ends if end is not None), default=None)


def _pays(task: TaskView, stall: datetime, now: datetime) -> bool:
    """Whether the stall costs more than reading the context again; a cold cache costs it anyway."""
    hours = (stall - now) / timedelta(hours=1)
    return not task.is_warm or task.reread_dollars < hours * task.dollars_per_hour


def _returns_at(accounts: Sequence[AccountView], now: datetime) -> datetime | None:
    ends = (account.limited_until for account in accounts if account.is_limited(now))
    return min((end for end in ends if end is not None), default=None)


def _home(task: TaskView, accounts: Sequence[AccountView]) -> AccountView | None:
    return next((account for account in accounts if account.id == task.home_id), None)


def _of(weighed: Sequence[Weighed], account_id: str | None) -> Weighed | None:
    return next((one for one in weighed if one.account_id == account_id), None)
