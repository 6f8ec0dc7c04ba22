"""The balancer's policy: pure functions over readings; no database, no clock, no randomness.

The dispatcher calls it with what the meters said, and `quarterdeck bench balance` calls the same
functions in a simulated world, so what is measured is what runs (docs/adr/0007-balance-policy.md).
"""

from app.services.balance.policy import after_limit, at_turn_end, barred, place, weigh
from app.services.balance.windows import (
    DOLLARS_PER_HOUR,
    AccountView,
    Decision,
    TaskView,
    Weighed,
    Window,
)

__all__ = [
    "DOLLARS_PER_HOUR",
    "AccountView",
    "Decision",
    "TaskView",
    "Weighed",
    "Window",
    "after_limit",
    "at_turn_end",
    "barred",
    "place",
    "weigh",
]
