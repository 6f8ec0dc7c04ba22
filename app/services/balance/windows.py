"""What the policy sees and says: windows, accounts and tasks in, a decision with its numbers out.

Dollars are API-equivalent dollars. Windows are told apart by their length, never by their name or
slot, since vendors rename and swap these.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from app.models.quota import BUDGET_MINUTES

DOLLARS_PER_HOUR = 8.0  # what a session burns of which nothing is known yet
UNKNOWN_USED = 0.5  # what we assume where the meter said nothing: neither empty nor full

Action = Literal["start", "stay", "move", "hold", "park"]


@dataclass(frozen=True)
class Window:
    """One quota window: its size by plan or estimate, and the last reading of its meter.

    `used_percent=None` is unknown. `resets_at=None` with 0 % is a window nobody started yet.
    """

    minutes: int
    capacity_dollars: float
    used_percent: float | None = None
    resets_at: datetime | None = None

    @property
    def is_budget(self) -> bool:
        """Whether it is what expires unused, rather than a throttle."""
        return self.minutes >= BUDGET_MINUTES

    def used(self, now: datetime) -> float:
        """The used fraction, 0 to 1; a reading from before a reset says nothing any more."""
        if self.used_percent is None or (self.resets_at is not None and self.resets_at <= now):
            return UNKNOWN_USED
        return min(1.0, max(0.0, self.used_percent / 100))

    def left_dollars(self, now: datetime) -> float:
        """What may still be spent before the reset."""
        return (1 - self.used(now)) * self.capacity_dollars

    def hours_left(self, now: datetime) -> float:
        """Hours until the reset; half of the window where that is unknown."""
        if self.resets_at is None or self.resets_at <= now:
            return self.minutes / 120
        return (self.resets_at - now) / timedelta(hours=1)


@dataclass(frozen=True)
class AccountView:
    """An account as the balancer sees it now.

    `family` is who can carry a live session on: accounts of one family share a transcript format.
    An account without windows (a key, a local endpoint) is overflow: used only where allowed.
    """

    id: str
    family: str
    windows: tuple[Window, ...] = ()
    running: int = 0
    burn_dollars_per_hour: float = 0.0  # of the live sessions together
    limited_until: datetime | None = None
    reserve: float = 0.0  # the fraction of the budget that the human keeps for himself
    closed: str = ""  # why the house's rules close it: logged out, its daily cap reached
    is_automatic: bool = True  # False: the human's "never automatic" switch
    models: frozenset[str] | None = None  # None: any
    max_running: int | None = None
    rank: int = 0  # the human's order, lower first

    def is_limited(self, now: datetime) -> bool:
        """Whether the vendor refused, and the quota has not returned yet."""
        return self.limited_until is not None and now < self.limited_until

    def allows(self, model: str) -> bool:
        """Whether the human lets the model be used there; "", which nobody named, may be any."""
        return self.models is None or model in ("", *self.models)


@dataclass(frozen=True)
class TaskView:
    """A task to place, or the session that works on it."""

    id: str
    families: frozenset[str] | None = None  # None: any, by a hand-over note where need be
    model: str | None = None
    dollars_per_hour: float = DOLLARS_PER_HOUR
    home_id: str | None = None  # the account it worked on last
    reread_dollars: float = 0.0  # what a new account pays to read the context again
    is_warm: bool = False  # home still holds its prompt cache
    moved_at: datetime | None = None
    moves_today: int = 0
    may_overflow: bool = False


@dataclass(frozen=True)
class Weighed:
    """One account on the scales."""

    account_id: str
    pressure_per_hour: float  # fraction of the budget that must go each hour to be gone at reset
    budget_left_dollars: float
    throttle_left_dollars: float
    running: int
    refusal: str = ""  # why not; empty: eligible


@dataclass(frozen=True)
class Decision:
    """What to do, why, and every number that was looked at."""

    action: Action
    account_id: str | None
    reason: str
    until: datetime | None = None  # when to look again, where that is known
    weighed: tuple[Weighed, ...] = ()
