"""A simulated subscription: the truth of its windows, and what its meter tells of them.

The 5-hour window starts with the first dollar after the last one ended; the week resets at a fixed
hour. The meter says whole percents, as of its last reading.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.bench.simulator.load import SHORT_HOURS, WEEK_HOURS, Plan, World
from app.services.balance import AccountView, Window

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)  # hour 0, a Monday
HOUR = timedelta(hours=1)
EMPTY = 1e-6  # dollars
POLL_HOURS = 0.125  # until a reset, or somebody else's use, shows on the meter
POLL = timedelta(hours=POLL_HOURS)


def at(hour: float) -> datetime:
    """The simulated hour as the policy's clock."""
    return EPOCH + timedelta(hours=hour)


@dataclass
class Subscription:
    """One plan in use."""

    number: int
    plan: Plan
    horizon: float  # windows that reset later do not count
    week_used: float = 0.0
    short_used: float = 0.0
    week_ends: float = 0.0
    short_ends: float = -1.0
    limited_until: float = -1.0
    spent: float = 0.0  # dollars, all told
    spent_human: float = 0.0  # of these, the human's
    refused_human: float = 0.0  # dollars the human wanted there and did not get
    live: dict[int, float] = field(default_factory=dict)  # sessions and their dollars an hour
    told: tuple[Window, ...] = ()

    @classmethod
    def of(cls, world: World, number: int, plan: Plan) -> "Subscription":
        """As the world begins: the running week was used evenly so far."""
        reset = world.phases[number]
        one = cls(number, plan, world.hours, week_ends=reset)
        one.week_used = plan.week_dollars * (1 - reset / WEEK_HOURS)
        one.read(0.0)
        return one

    @property
    def counts(self) -> bool:
        """Whether the running week resets within the horizon."""
        return self.week_ends <= self.horizon

    def spend(self, dollars: float, now: float, *, is_human: bool = False) -> float:
        """Spend what there is room for; returns the dollars granted."""
        self._roll(now)
        week_left = self.plan.week_dollars - self.week_used
        short_left = self.plan.short_dollars - self.short_used
        granted = max(0.0, min(dollars, week_left, short_left))
        if granted > 0 and self.short_ends <= now:
            self.short_ends = now + SHORT_HOURS
        self.week_used += granted
        self.short_used += granted
        self.spent += granted
        self.spent_human += granted if is_human else 0.0
        if is_human and self.counts:
            self.refused_human += dollars - granted
        if granted < dollars and not is_human:
            is_week = week_left - granted <= EMPTY
            self.limited_until = self.week_ends if is_week else self.short_ends
        return granted

    def read(self, now: float) -> None:
        """Read the meter."""
        self._roll(now)
        short, week = self.plan.short_dollars, self.plan.week_dollars
        cold = self.short_ends <= now
        self.told = (
            Window(
                minutes=300,
                capacity_dollars=short,
                used_percent=float(round(100 * self.short_used / short)),
                resets_at=None if cold else at(self.short_ends),
            ),
            Window(
                minutes=10080,
                capacity_dollars=week,
                used_percent=float(round(100 * self.week_used / week)),
                resets_at=at(self.week_ends),
            ),
        )

    def view(self, now: float) -> AccountView:
        """As the balancer sees it."""
        stale = [w for w in self.told if w.resets_at and w.resets_at + POLL < at(now)]
        if stale:
            self.read(now)
        limited = self.limited_until > now
        return AccountView(
            id=self.plan.name,
            family=self.plan.family,
            windows=self.told,
            running=len(self.live),
            burn_dollars_per_hour=sum(self.live.values()),
            limited_until=at(self.limited_until) if limited else None,
            rank=self.number,
        )

    def _roll(self, now: float) -> None:
        """Start the windows again whose time is over."""
        if self.short_ends <= now:
            self.short_used = 0.0
        while self.week_ends <= now:
            self.week_used = 0.0
            self.week_ends += WEEK_HOURS
