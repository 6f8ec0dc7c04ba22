"""Filler: only budgets that are known to expire within a day take deferrable work."""

from datetime import UTC, datetime, timedelta

import pytest

from app.services.balance import AccountView, Window
from app.services.balance.filler import expiring_dollars, fillable

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)


def account(used: float | None, hours: float | None, **more: object) -> AccountView:
    resets_at = NOW + timedelta(hours=hours) if hours is not None else None
    week = Window(10080, 400.0, used, resets_at)
    short = Window(300, 40.0, 0.0, NOW + timedelta(hours=2))
    return AccountView(**{"id": "1", "family": "a", "windows": (short, week)} | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "dollars"),
    [
        (account(79, 12), 80.0),
        (account(79, 12, reserve=0.1), 40.0),
        (account(79, 10, burn_dollars_per_hour=3.0), 50.0),
        (account(100, 12), 0.0),
        (account(20, 30), 0.0),
        (account(None, 12), 0.0),
        (account(20, None), 0.0),
        (account(20, -1), 0.0),
        (AccountView("key", "a"), 0.0),
    ],
)
def test_what_would_expire(seen: AccountView, dollars: float) -> None:
    assert expiring_dollars(seen, NOW) == pytest.approx(dollars)


def test_filler_waits_for_work_that_is_not_deferrable() -> None:
    seen = [account(79, 12)]
    assert fillable(seen, 0, NOW) == {"1"}
    assert fillable(seen, 22, NOW) == {"1"}
    assert fillable(seen, 23, NOW) == frozenset()
