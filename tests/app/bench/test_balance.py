"""The simulated world: dollars are conserved, a seed repeats, nobody beats the bound."""

import argparse
from dataclasses import replace

import pytest

from app.bench import balance
from app.bench.simulator.bound import bound
from app.bench.simulator.contenders import contenders
from app.bench.simulator.load import CAPACITY, PLANS, SHAPES, World, draw
from app.bench.simulator.simulation import Outcome, Simulation

NAMES = list(contenders(PLANS))


def days(count: float, shape: str = "flat", load: float = 1.05) -> World:
    return draw(7, weeks=count / 7, load=load, shape=shape)


def play(name: str, world: World) -> Outcome:
    return Simulation(world, contenders(PLANS)[name]).run()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_world_offers_just_its_load(shape: str) -> None:
    world = days(7, shape, 0.5)
    assert sum(job.dollars for job in world.jobs) == pytest.approx(CAPACITY / 2)
    assert all(0 <= job.at <= world.hours for job in world.jobs)
    assert world == days(7, shape, 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_three_days_conserve_dollars(name: str) -> None:
    world = days(3)
    simulation = Simulation(world, contenders(PLANS)[name])
    used = {account.plan.name: account.week_used for account in simulation.accounts}
    outcome = simulation.run()
    arrived = sum(job.dollars for job in world.jobs)
    assert outcome.useful + outcome.left == pytest.approx(arrived)
    assert outcome.useful > 0
    assert outcome.useful >= outcome.score
    spent = sum(account.spent for account in simulation.accounts)
    human = sum(account.spent_human for account in simulation.accounts)
    assert spent == pytest.approx(outcome.useful + outcome.overhead + human)
    for account in simulation.accounts:
        assert account.week_used <= account.plan.week_dollars + 1e-6
        assert account.short_used <= account.plan.short_dollars + 1e-6
        assert used[account.plan.name] >= 0


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_outcome(name: str) -> None:
    assert play(name, days(3)) == play(name, days(3))


@pytest.mark.parametrize("shape", SHAPES)
def test_nobody_beats_the_bound(shape: str) -> None:
    world = days(14, shape)
    best = bound(world)
    assert best > 0
    assert all(play(name, world).score <= best for name in NAMES)


def test_the_bound_is_the_work_where_there_is_little_and_the_windows_where_there_is_much() -> None:
    little = replace(days(14, load=0.2), human=())
    assert bound(little) <= sum(job.dollars for job in little.jobs)
    assert bound(little) > 0.8 * sum(job.dollars for job in little.jobs)
    much, more = replace(days(14, load=4.0), human=()), replace(days(14, load=8.0), human=())
    assert bound(much) == pytest.approx(bound(more), rel=0.02)


def test_ours_meets_fewer_limits_than_round_robin() -> None:
    world = days(7)
    assert 3 * play("ours", world).hits <= play("round-robin", world).hits


def test_the_family_has_a_row_for_each_policy_and_bars_for_each_shape() -> None:
    options = balance.parser().parse_args(["--weeks", "1", "--seeds", "1", "--shape", "flat"])
    assert isinstance(options, argparse.Namespace)
    result = balance.run(options)
    assert [row[2] for row in result.rows] == NAMES
    assert {bar.name for bar in result.bars} >= {"flat: gap to the bound"}
