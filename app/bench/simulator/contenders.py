"""The policies that are compared: five that people use, and ours, which is the product's own.

A contender answers with decisions, from the same views that the product's balancer gets.
"""

import random
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from app.bench.simulator.load import Plan
from app.services import balance
from app.services.balance import AccountView, Decision, TaskView

Views = Sequence[AccountView]


class Contender(Protocol):
    """What the simulated dispatcher asks; the functions of `app.services.balance` are one."""

    def key(self, task: TaskView) -> object:
        """Tasks of one key get one answer at one moment where the answer is "not now"."""
        ...

    def place(self, task: TaskView, accounts: Views, now: datetime, /) -> Decision: ...

    def at_turn_end(self, task: TaskView, accounts: Views, now: datetime, /) -> Decision: ...

    def after_limit(self, task: TaskView, accounts: Views, now: datetime, /) -> Decision: ...


class Ours:
    """The product's policy."""

    def key(self, task: TaskView) -> object:
        """What can be refused together (sizes differ little)."""
        return task.families, task.home_id, task.is_warm

    place = staticmethod(balance.place)
    at_turn_end = staticmethod(balance.at_turn_end)
    after_limit = staticmethod(balance.after_limit)


class Simple:
    """A rule that chooses among the accounts that are not refused; a refused session fails over."""

    def __init__(self, choose: Callable[[list[AccountView]], AccountView]) -> None:
        self._choose = choose

    def key(self, task: TaskView) -> object:
        """The vendors it may use."""
        return task.families

    def place(self, task: TaskView, accounts: Views, now: datetime) -> Decision:
        """Back home where it can, else where the rule says."""
        fit = [a for a in accounts if not a.is_limited(now) and _may(task, a)]
        home = next((account for account in fit if account.id == task.home_id), None)
        if not fit:
            return Decision("park", None, "all are refused")
        return Decision("start", (home or self._choose(fit)).id, "the rule")

    def at_turn_end(self, task: TaskView, _accounts: Views, _now: datetime) -> Decision:
        """It never looks ahead."""
        return Decision("stay", task.home_id, "the rule")

    def after_limit(self, task: TaskView, accounts: Views, now: datetime) -> Decision:
        """To another account, if there is one."""
        return self.place(task, accounts, now)


class Pinned(Simple):
    """Each task belongs to one account, drawn by plan size, and waits for it."""

    def __init__(self, plans: tuple[Plan, ...]) -> None:
        super().__init__(lambda fit: fit[0])
        self._plans = plans

    def key(self, task: TaskView) -> object:
        """Its account."""
        return _drawn(task.id, task.families, self._plans)

    def place(self, task: TaskView, accounts: Views, now: datetime) -> Decision:
        """Its account or none."""
        account = next(one for one in accounts if one.id == self.key(task))
        if account.is_limited(now):
            return Decision("park", None, "its account is refused", account.limited_until)
        return Decision("start", account.id, "its account")


def contenders(plans: tuple[Plan, ...]) -> dict[str, Contender]:
    """Fresh contenders by name."""
    turn = iter(range(1_000_000_000))
    return {
        "pinned": Pinned(plans),
        "fill-first": Simple(lambda fit: fit[0]),
        "round-robin": Simple(lambda fit: fit[next(turn) % len(fit)]),
        "least-used": Simple(lambda fit: min(fit, key=_used)),
        "soonest-reset": Simple(lambda fit: min(fit, key=_reset)),
        "ours": Ours(),
    }


@lru_cache(maxsize=10_000)
def _drawn(task_id: str, families: frozenset[str] | None, plans: tuple[Plan, ...]) -> str:
    """One of the plans it may use, by size; the same for each task every time."""
    own = [plan for plan in plans if families is None or plan.family in families]
    return random.Random(task_id).choices(own, [plan.week_dollars for plan in own])[0].name


def _may(task: TaskView, account: AccountView) -> bool:
    return task.families is None or account.family in task.families


def _used(account: AccountView) -> float:
    return max(window.used_percent or 0.0 for window in account.windows if window.is_budget)


def _reset(account: AccountView) -> datetime:
    return min(w.resets_at for w in account.windows if w.is_budget and w.resets_at)
