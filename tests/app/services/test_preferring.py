"""The preference by record: off, on, what it never overrules, and that it says what it did."""

import pytest

from app.models import Agent, Decision
from app.services import preferring
from app.services.context import Context
from app.services.dispatch import dispatch
from app.store import agents, merge_requests
from tests.app import factories as make
from tests.app.services.ports import Harbour
from tests.app.web.judged import judge

GOOD, BAD, NEW = "claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-5-5"


@pytest.fixture
def judged(ctx: Context, harbour: Harbour) -> Harbour:
    """Three free agents: the first by name is weak at tests, the last is strong."""
    login = harbour.login("Max", 30, 20)
    for name, model in (("ash", BAD), ("elm", NEW), ("oak", GOOD)):
        harbour.agent(name, login, model=model)
    past = make.agent(ctx, "past", login, is_enabled=False)
    for _ in range(9):
        judge(ctx, harbour.repository, past, GOOD, label="tests")
        judge(ctx, harbour.repository, past, BAD, "rejected", label="tests")
    return harbour


def said(ctx: Context) -> list[Decision]:
    with ctx.db.read() as db:
        return [row for row in merge_requests.decisions(db) if row.verb == "prefer"]


def every_agent(ctx: Context) -> list[Agent]:
    with ctx.db.read() as db:
        return agents.every(db)


def test_off_it_changes_nothing(ctx: Context, judged: Harbour) -> None:
    task = judged.task(label="tests")
    dispatch(ctx)
    assert judged.of(task)[0] == "ash"
    assert said(ctx) == []


@pytest.mark.parametrize("mode", ["off", "advise", "auto_new"])
def test_on_the_best_at_it_comes_first_and_the_weak_one_last(
    ctx: Context, judged: Harbour, mode: str
) -> None:
    judged.mode(mode)
    preferring.set_on(ctx, True)
    first, second, third = (judged.task(label="tests") for _ in range(3))
    dispatch(ctx)
    assert [judged.of(task)[0] for task in (first, second, third)] == ["oak", "elm", "ash"]
    reason = judged.row(first).state_reason
    assert reason.startswith(f"By the record at tests: {GOOD} 9 of 9 accepted at once (70")
    assert f"{BAD} 0 of 9" in reason
    assert f"{NEW} has no record" in reason
    decisions = said(ctx)
    assert {row.subject for row in decisions} == {f"task {first}", f"task {second}"}
    assert {row.actor for row in decisions} == {"system"}


def test_a_named_agent_another_label_and_no_label_are_as_before(
    ctx: Context, judged: Harbour
) -> None:
    preferring.set_on(ctx, True)
    ash = next(agent for agent in every_agent(ctx) if agent.name == "ash")
    named = judged.task(label="tests", wanted_agent_id=ash.id)
    other = judged.task(label="docs")
    plain = judged.task()
    dispatch(ctx)
    assert [judged.of(task)[0] for task in (named, other, plain)] == ["ash", "elm", "oak"]
    assert said(ctx) == []


def test_the_record_knows_a_model_by_the_name_it_worked_under(
    ctx: Context, harbour: Harbour
) -> None:
    login = harbour.login("Max", 30, 20)
    harbour.agent("ash", login, model=BAD)
    alias = harbour.agent("oak", login, model="opus")
    for _ in range(6):
        judge(ctx, harbour.repository, alias, GOOD, label="tests")
    preferring.set_on(ctx, True)
    task = harbour.task(label="tests")
    dispatch(ctx)
    assert harbour.of(task)[0] == "oak"
