"""Filler: deferrable work goes only where quota would expire unused, and nobody else wants it."""

from collections.abc import Sequence
from datetime import datetime

from app.services.balance.policy import TARGET, TASK_DOLLARS
from app.services.balance.windows import AccountView

FILL_HOURS = 24.0  # a budget that resets later than this still meets other work


def expiring_dollars(account: AccountView, now: datetime) -> float:
    """What of the account's budget is left at its reset within a day, as its sessions burn now.

    A budget whose use or reset is unknown expires nothing that we know of.
    """
    left = []
    for window in account.windows:
        if not window.is_budget:
            continue
        is_known = window.used_percent is not None and window.resets_at is not None
        hours = window.hours_left(now)
        if not is_known or window.resets_at is None or window.resets_at <= now:
            return 0.0
        if hours >= FILL_HOURS:
            return 0.0
        share = TARGET - window.used(now) - account.reserve
        left.append(share * window.capacity_dollars - account.burn_dollars_per_hour * hours)
    return max(0.0, min(left, default=0.0))


def fillable(accounts: Sequence[AccountView], tasks: int, now: datetime) -> frozenset[str]:
    """Accounts that deferrable work may go to, while `tasks` others wait for any account."""
    expiring = {account.id: expiring_dollars(account, now) for account in accounts}
    if sum(expiring.values()) <= tasks * TASK_DOLLARS:
        return frozenset()
    return frozenset(account_id for account_id, dollars in expiring.items() if dollars > 0)
