"""The open merge requests in the order to decide them, from stored state in a few queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session as Orm

from app.models import Check, MergeRequest, Radar, Task
from app.services import states
from app.services.prices import equivalent
from app.services.rank_rules import Facts, Ranked, rank
from app.store import assessed, checks, merge_requests, radar, tasks
from app.store.assessed import Dependent
from app.store.usage import Tokens


def ranked(db: Orm, now: datetime) -> list[Ranked]:
    """All open merge requests, the one to decide first in front."""
    return rank(facts(db, merge_requests.open_ones(db), now).values())


def facts(db: Orm, requests: Sequence[MergeRequest], now: datetime) -> dict[int, Facts]:
    """What their order depends on, by id: who waits for them and what they cost among it."""
    house = _house(db, requests)
    return {request.id or 0: _facts(house, request, now) for request in requests}


@dataclass(frozen=True)
class _House:
    """One look at everything around the merge requests."""

    tasks: dict[int, Task]  # theirs
    dependents: list[Dependent]  # open ones that wait for others
    states: dict[int, str]  # of the tasks that those wait for
    after: dict[int, list[int]]  # of open merge requests: which have to land before
    used: dict[int, list[Tokens]]  # by task
    checks: dict[int, Check]
    radar: dict[tuple[int, str], Radar]
    idle_agents: int


def _house(db: Orm, requests: Sequence[MergeRequest]) -> _House:
    task_ids = {request.task_id for request in requests if request.task_id is not None}
    dependents = assessed.dependents(db)
    return _House(
        tasks=assessed.tasks_of(db, task_ids),
        dependents=dependents,
        states=tasks.states(db, {other for task in dependents for other in task.after}),
        after=assessed.after_of_open(db),
        used=assessed.used_by_task(db, task_ids),
        checks=checks.newest_of_each(db, [request.id or 0 for request in requests]),
        radar=radar.every(db),
        idle_agents=sum(state == "idle" for state in states.every(db).values()),
    )


def _facts(house: _House, request: MergeRequest, now: datetime) -> Facts:
    number = request.id or 0
    task = house.tasks.get(request.task_id or 0)
    behind = [each for each in house.dependents if request.task_id in each.after]
    ends = [task.deadline_at if task else None, *(each.deadline_at for each in behind)]
    dues = [end for end in ends if end is not None]
    check = house.checks.get(number)
    used = house.used.get(request.task_id or 0, [])
    look = house.radar.get((request.repository_id, request.base_branch))
    others = {each["other"] for each in radar.collisions_of(look, str(number))} - {"base"}
    return Facts(
        request_id=number,
        age=now - request.created_at,
        state=request.state,
        care=request.care,
        risks=tuple(risk["says"] for risk in request.risks),
        risk_points=sum(risk["points"] for risk in request.risks),
        check=check.state if check else "",
        has_conflicts=bool(request.conflicts),
        collisions=len(others),
        waiters=(
            *(f"“{each.title}”" for each in behind),
            *(f"#{other}" for other, after in house.after.items() if number in after),
        ),
        released=sum(_waits_only_for(house, each, request.task_id) for each in behind),
        idle_agents=house.idle_agents,
        priority=task.priority if task else 0,
        due_in=min(dues) - now if dues else None,
        cost_usd=equivalent(used).usd if used else None,
        output_tokens=sum(each.output for each in used),
    )


def _waits_only_for(house: _House, task: Dependent, task_id: int | None) -> bool:
    others = (other for other in task.after if other != task_id)
    return task.state == "queued" and all(house.states.get(other) == "done" for other in others)
