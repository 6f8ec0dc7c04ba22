"""What nobody can beat: the best score with all arrivals known, free moves and endless slots.

Work of three kinds (each vendor only, any vendor) flows from its arrival forward in time into
weekly windows. By duality the largest flow is the smallest cut, and since work can always wait, a
cut is three hours, one for each kind: arrivals before it on one side, what the windows hold from it
on at the other. So the linear program needs no solver: a scan over the hours is exact for windows,
kinds and releases on that grid, and every cut alone is a valid bound. The 5-hour windows enter as
what a stretch of L hours can hold at most: it touches no more than L/5 + 2 of them.
"""

from itertools import accumulate

from app.bench.simulator.load import SHORT_HOURS, WEEK_HOURS, World


def bound(world: World) -> float:
    """The most dollars of work that can be done in windows that reset within the horizon."""
    grid = int(world.hours) + 1
    families = sorted({plan.family for plan in world.plans})
    free = _arrived(world, None, grid)
    own = {family: _arrived(world, family, grid) for family in families}
    held = {family: _held(world, family, grid) for family in families}
    # The best cut of one vendor's own work before hour h, for each h: a running minimum.
    cuts = {f: [a + b for a, b in zip(own[f], held[f], strict=True)] for f in families}
    early = {f: list(accumulate(cuts[f], min)) for f in families}
    return min(free[hour] + sum(early[f][hour] for f in families) for hour in range(grid))


def _arrived(world: World, family: str | None, grid: int) -> list[float]:
    """The dollars of one kind of work that arrived before each hour of the grid."""
    hourly = [0.0] * grid
    for job in world.jobs:
        if job.family == family and int(job.at) + 1 < grid:
            hourly[int(job.at) + 1] += job.dollars
    return list(accumulate(hourly))


def _held(world: World, family: str, grid: int) -> list[float]:
    """The dollars that the windows of one vendor can hold from each hour of the grid on."""
    total = [0.0] * grid
    for number, plan in enumerate(world.plans):
        if plan.family != family:
            continue
        for reset in world.resets(number):
            begin = max(0.0, reset - WEEK_HOURS)
            used = sum(d for at, n, d in world.human if n == number and begin <= at < reset)
            room = plan.week_dollars * (reset - begin) / WEEK_HOURS - used
            for hour in range(min(grid, int(reset) + 1)):
                shorts = int((reset - max(begin, hour)) // SHORT_HOURS) + 2
                total[hour] += min(room, shorts * plan.short_dollars)
    return total
