"""The world as drawn from a seed: six plans, tasks in one of three shapes, the human's own use.

Hours count from a Monday midnight. Dollars are API-equivalent dollars.
"""

import math
import random
from dataclasses import dataclass

WEEK_HOURS = 168.0
SHORT_HOURS = 5.0
DAY_BEGINS, DAY_ENDS = 8.0, 20.0  # the human is there
SHAPES = ("flat", "working-hours", "bursty")
BURSTY_SHARE = 0.38  # of the half-days have work
FREE_SHARE = 0.8  # of the tasks run with any vendor
HUMAN_SHARE = 0.04  # of each plan goes to the human's own use
HUMAN_HOURLY = 0.15  # chance that he uses an account in an hour of the day


@dataclass(frozen=True)
class Plan:
    """A subscription: what a week and a 5-hour window hold."""

    name: str
    family: str
    week_dollars: float
    short_dollars: float


PLANS = (
    Plan("north-20x", "north", 1000, 110),
    Plan("north-5x", "north", 330, 37),
    Plan("north-1x", "north", 65, 7.5),
    Plan("south-10x", "south", 800, 240),
    Plan("south-1x", "south", 80, 25),
    Plan("south-1y", "south", 80, 25),
)
CAPACITY = sum(plan.week_dollars for plan in PLANS)  # of a week


@dataclass(frozen=True)
class Job:
    """A task: when it is there, what it takes, and the seed of what happens inside it."""

    number: int
    at: float
    dollars: float
    dollars_per_hour: float
    family: str | None  # None: any vendor
    seed: int


@dataclass(frozen=True)
class World:
    """What every policy meets."""

    hours: float
    phases: tuple[float, ...]  # of each plan: the hour of its first weekly reset
    jobs: tuple[Job, ...]
    human: tuple[tuple[float, int, float], ...]  # hour, plan, dollars
    plans: tuple[Plan, ...] = PLANS

    @property
    def capacity(self) -> float:
        """Dollars that all plans hold in the time of this world."""
        return sum(plan.week_dollars for plan in self.plans) * self.hours / WEEK_HOURS

    def resets(self, plan: int) -> list[float]:
        """The weekly resets of a plan within the horizon."""
        weeks = int((self.hours - self.phases[plan]) // WEEK_HOURS) + 1
        return [self.phases[plan] + week * WEEK_HOURS for week in range(weeks)]


def draw(seed: int, *, weeks: float, load: float, shape: str) -> World:
    """A world: `load` is offered dollars over the plans' capacity, 1.05 for 105 %."""
    rng = random.Random(seed)
    hours = weeks * WEEK_HOURS
    phases = tuple(rng.uniform(1.0, WEEK_HOURS) for _ in PLANS)
    spans = _spans(rng, hours, shape)
    jobs = _jobs(rng, spans, load * CAPACITY * weeks)
    return World(hours, phases, jobs, _human(rng, hours))


def _jobs(rng: random.Random, spans: list[tuple[float, float]], dollars: float) -> tuple[Job, ...]:
    """Tasks of just that many dollars, spread evenly over the spans."""
    sizes: list[float] = []
    left = dollars
    while left > 0:
        sizes.append(min(left, rng.lognormvariate(math.log(4.0), 1.0)))
        left -= sizes[-1]
    active = sum(end - begin for begin, end in spans)
    starts = sorted(_at(spans, rng.uniform(0, active)) for _ in sizes)
    return tuple(
        Job(number, at, size, 8.0 * rng.lognormvariate(0, 0.4), _family(rng), rng.getrandbits(32))
        for number, (at, size) in enumerate(zip(starts, sizes, strict=True))
    )


def _family(rng: random.Random) -> str | None:
    """Any vendor for most; the rest in proportion to what each vendor's plans hold."""
    if rng.random() < FREE_SHARE:
        return None
    return rng.choices([p.family for p in PLANS], [p.week_dollars for p in PLANS])[0]


def _at(spans: list[tuple[float, float]], active: float) -> float:
    """The hour at which that many active hours have passed."""
    for begin, end in spans:
        if active <= end - begin:
            return begin + active
        active -= end - begin
    return spans[-1][1]


def _spans(rng: random.Random, hours: float, shape: str) -> list[tuple[float, float]]:
    """When tasks arrive; never empty."""
    days = [24.0 * day for day in range(math.ceil(hours / 24))]
    if shape == "flat":
        return [(0.0, hours)]
    if shape == "working-hours":
        spans = [(d + DAY_BEGINS, d + DAY_ENDS) for d in days if d % WEEK_HOURS < 120]
    else:
        halves = [half for d in days for half in ((d, d + 12), (d + 12, d + 24))]
        spans = [half for half in halves if rng.random() < BURSTY_SHARE]
    return [(b, min(e, hours)) for b, e in spans if b < hours] or [(0.0, hours)]


def _human(rng: random.Random, hours: float) -> tuple[tuple[float, int, float], ...]:
    """The human's own use of each plan: now and then, in the hours of the day."""
    slots = 7 * (DAY_ENDS - DAY_BEGINS) * HUMAN_HOURLY
    uses = [
        (hour + rng.random(), number, rng.expovariate(slots / (HUMAN_SHARE * plan.week_dollars)))
        for number, plan in enumerate(PLANS)
        for hour in range(int(hours))
        if DAY_BEGINS <= hour % 24 < DAY_ENDS and rng.random() < HUMAN_HOURLY
    ]
    return tuple(sorted(uses))
