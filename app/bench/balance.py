"""The balancer's policy against five simpler ones, in seeded worlds of six unequal subscriptions.

The gap is to the best that a clairvoyant could do (app/bench/simulator/bound.py). A limit hit is
one refused turn. Task hours count from a task's first turn, without the waits for its human. With
`--recorded` the world is what this installation recorded: its tasks, its accounts.
"""

import argparse
from statistics import fmean

from sqlalchemy.exc import OperationalError

from app.bench import Bar, Result
from app.bench.simulator.bound import bound
from app.bench.simulator.contenders import contenders
from app.bench.simulator.load import PLANS, SHAPES, WEEK_HOURS, draw
from app.bench.simulator.simulation import Outcome, Simulation
from app.bench.simulator.trace import recorded
from app.models.base import utc_now
from app.settings import Settings
from app.show import progress
from app.store.database import Database

LOADS = {"flat": 1.05, "working-hours": 1.05, "bursty": 0.90}
GAPS = {"flat": 1.5, "working-hours": 2.5}  # percent, ours at most
FEWER_HITS = 3.0
SHORTER = 2.0
COLUMNS = ("shape", "load %", "policy", "gap %", "hits/week", "p95 task h", "reread %", "moves")
Played = dict[str, list[tuple[float, Outcome]]]  # policy: the bound and the outcome of each seed


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--weeks", type=float, default=8.0)
    options.add_argument("--seeds", type=int, default=2, help="worlds of each shape")
    options.add_argument("--load", type=float, help="offered over capacity, 1.05 for 105 %%")
    options.add_argument("--shape", choices=SHAPES, help="one shape only")
    options.add_argument("--recorded", action="store_true", help="replay this installation's tasks")
    return options


def run(options: argparse.Namespace) -> Result:
    """Play every policy in the same worlds."""
    if options.recorded:
        return _replay()
    shapes = [options.shape] if options.shape else list(SHAPES)
    rows: list[tuple[object, ...]] = []
    bars: list[Bar] = []
    for shape in shapes:
        load = options.load or LOADS[shape]
        played = _play(shape, load, options)
        rows += [_row(shape, load, name, played[name], options.weeks) for name in played]
        bars += _bars(shape, played, is_bar=load == LOADS[shape])
    return Result(COLUMNS, rows, bars, [f"{options.seeds} worlds of each shape."])


def _replay() -> Result:
    """The recorded world under every policy; no bars: nobody promised anything about it."""
    database = Database(Settings().database)
    try:
        with database.read() as db:
            trace = recorded(db, utc_now())
    except (ValueError, OperationalError) as error:
        raise SystemExit(f"There is nothing to replay. {error}") from None
    finally:
        database.close()
    world = trace.world
    best = bound(world)
    load = 100 * sum(job.dollars for job in world.jobs) / world.capacity
    rows = []
    for name, policy in contenders(world.plans).items():
        played = [(best, Simulation(world, policy).run())]
        rows.append(_row("recorded", load / 100, name, played, world.hours / WEEK_HOURS))
    about = (
        f"{len(world.jobs)} tasks in {world.hours / 24:.0f} days on {len(world.plans)} accounts."
    )
    if best <= 0:
        trace.left_out.append("No week ended in that time, so there is no gap to tell yet.")
    return Result(COLUMNS, rows, [], [about, *trace.left_out])


def _play(shape: str, load: float, options: argparse.Namespace) -> Played:
    played: Played = {name: [] for name in contenders(PLANS)}
    for seed in range(options.seeds):
        progress(f"{shape}, world {seed + 1} of {options.seeds} ...")
        world = draw(seed, weeks=options.weeks, load=load, shape=shape)
        best = bound(world)
        for name, policy in contenders(world.plans).items():
            played[name].append((best, Simulation(world, policy).run()))
    return played


def _row(
    shape: str, load: float, name: str, played: list[tuple[float, Outcome]], weeks: float
) -> tuple[object, ...]:
    outcomes = [outcome for _, outcome in played]
    useful = sum(outcome.useful for outcome in outcomes)
    return (
        shape,
        round(100 * load),
        name,
        round(_gap(played), 2),
        round(_hits(played) / weeks, 1),
        round(_p95(played), 1),
        round(100 * sum(outcome.overhead for outcome in outcomes) / useful, 2) if useful else 0.0,
        round(fmean(outcome.moves for outcome in outcomes) / weeks, 1),
    )


def _bars(shape: str, played: Played, *, is_bar: bool) -> list[Bar]:
    """The promises; those about a load are checked at that load only."""
    ours, robin = played["ours"], played["round-robin"]
    bars = [Bar(f"{shape}: gap over round-robin's", round(_gap(ours) - _gap(robin), 2), 0, "%")]
    if is_bar and shape in GAPS:
        bars.append(Bar(f"{shape}: gap to the bound", round(_gap(ours), 2), GAPS[shape], "%"))
    if is_bar and shape == "flat":
        fewer = round(_hits(robin) / max(1, _hits(ours)), 2)
        shorter = round(_p95(robin) / _p95(ours), 2)
        bars.append(
            Bar("flat: times fewer hits than round-robin", fewer, FEWER_HITS, is_floor=True)
        )
        bars.append(Bar("flat: times shorter p95 task", shorter, SHORTER, is_floor=True))
    return bars


def _gap(played: list[tuple[float, Outcome]]) -> float:
    best = sum(bound_ for bound_, _ in played)
    return 100 * (1 - sum(outcome.score for _, outcome in played) / best) if best > 0 else 0.0


def _hits(played: list[tuple[float, Outcome]]) -> float:
    return fmean(outcome.hits for _, outcome in played)


def _p95(played: list[tuple[float, Outcome]]) -> float:
    return fmean(o.hours[int(0.95 * len(o.hours))] if o.hours else 0.0 for _, o in played)
