"""A task at work in the simulation: what is left of it, and what its context costs."""

import math
import random
from functools import cached_property

from app.bench.simulator.load import DAY_BEGINS, Job
from app.bench.simulator.subscription import EMPTY, Subscription, at
from app.services.balance import TaskView

TURN_HOURS = 0.25  # the median turn
TURN_SIGMA = 0.5
ANSWER_HOURS = 0.25  # the mean wait for the human, by day
NIGHT_BEGINS = 21.0
CACHE_HOURS = 1.0
# Reading a context again, at $6 for a million tokens (a fleet's mean: one vendor asks double for
# writing its cache, another nothing): 15 thousand tokens at first, more with each dollar of work,
# 120 thousand at most, where it is compacted.
CONTEXT_DOLLARS, CONTEXT_SHARE, CONTEXT_MOST = 0.09, 0.05, 0.72


class Session:
    """The state of one task. Its random draws are its own: policies do not disturb them."""

    def __init__(self, job: Job) -> None:
        self.job, self.left = job, job.dollars
        self.rng = random.Random(job.seed)
        self.home: Subscription | None = None
        self.begun = self.cache_until = self.ended = -1.0
        self.debt = self.work = self.human_hours = 0.0
        self.moves: list[float] = []

    def task(self, now: float) -> TaskView:
        """As the balancer sees it."""
        if self.home is None:
            return self._fresh
        return TaskView(
            id=str(self.job.number),
            families=self._fresh.families,
            dollars_per_hour=self.job.dollars_per_hour,
            home_id=self.home.plan.name,
            reread_dollars=self.reread,
            is_warm=self.cache_until > now,
            moved_at=at(self.moves[-1]) if self.moves else None,
            moves_today=sum(now - hour < 24 for hour in self.moves),
        )

    @cached_property
    def _fresh(self) -> TaskView:
        family = self.job.family
        families = None if family is None else frozenset([family])
        rate = self.job.dollars_per_hour
        return TaskView(str(self.job.number), families, dollars_per_hour=rate)

    @property
    def reread(self) -> float:
        """What its context costs where no cache holds it, in dollars."""
        done = self.job.dollars - self.left
        return min(CONTEXT_MOST, CONTEXT_DOLLARS + CONTEXT_SHARE * done) if done > EMPTY else 0.0

    def begin_turn(self, account: Subscription, now: float) -> float:
        """Start a turn there; returns its hours."""
        if self.home is not account or self.cache_until < now:
            self.debt = self.reread
        if self.home not in (None, account):
            self.moves.append(now)
        if self.begun < 0:
            self.begun = now
        self.home = account
        rate = self.job.dollars_per_hour
        hours = self.rng.lognormvariate(math.log(TURN_HOURS), TURN_SIGMA)
        self.work = min(self.left, rate * hours)
        account.live[self.job.number] = rate
        return self.work / rate

    def answer_hours(self, now: float) -> float:
        """How long the human takes to answer; at night, until the next morning."""
        answered = now + self.rng.expovariate(1 / ANSWER_HOURS)
        hour = answered % 24
        if hour < DAY_BEGINS or hour >= NIGHT_BEGINS:
            answered += (DAY_BEGINS - hour) % 24 + self.rng.random()
        self.human_hours += answered - now
        return answered - now

    def hours(self, now: float) -> float:
        """How long it took, or has taken; from its first turn, without the waits for the human."""
        end = self.ended if self.ended >= 0 else now
        return max(0.0, end - self.begun - self.human_hours)
