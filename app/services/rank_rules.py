"""In which order the human best decides: what can be decided now and holds up most comes first.

Pure on facts: `rank` gives each merge request its points and each point its reason.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.models.merge_request import FAILING_STATES
from app.services.change import counted

_PER_WAITER, _MOST_FOR_WAITERS = 15.0, 60.0
_PER_IDLE_AGENT, _MOST_FOR_IDLE = 10.0, 30.0
_PER_COLLISION, _MOST_FOR_COLLISIONS = 5.0, 20.0
_PER_HOUR, _MOST_FOR_AGE = 1.0, 24.0
_PER_PRIORITY, _MOST_FOR_PRIORITY = 10.0, 30.0
_PER_DOUBLED_DOLLAR, _MOST_FOR_COST = 3.0, 15.0
_RISK_SHARE, _MOST_FOR_RISK = 0.1, 15.0
_DEADLINES = ((timedelta(0), 50.0), (timedelta(hours=24), 40.0), (timedelta(days=3), 20.0))
_CARE = {"glance": (12.0, "a glance is enough"), "read": (6.0, "one read is enough")}


@dataclass(frozen=True)
class Facts:
    """One open merge request, as its place in the list depends on it."""

    request_id: int
    age: timedelta = timedelta(0)
    state: str = "open"
    care: str = ""
    risks: tuple[str, ...] = ()  # in words, heaviest first
    risk_points: int = 0
    check: str = ""  # state of the newest check, "" where there is none
    has_conflicts: bool = False  # with its base
    collisions: int = 0  # other live work that it conflicts with
    waiters: tuple[str, ...] = ()  # tasks and merge requests that must come after it
    released: int = 0  # tasks that wait for nothing else
    idle_agents: int = 0
    priority: int = 0
    due_in: timedelta | None = None  # until its task's deadline, or an earlier one of a waiter
    cost_usd: float | None = None  # at list price; None: unknown
    output_tokens: int = 0


@dataclass(frozen=True)
class Why:
    """A part of the points, in words."""

    name: str
    points: float
    says: str

    def row(self) -> dict[str, Any]:
        return {"name": self.name, "points": self.points, "says": self.says}


@dataclass(frozen=True)
class Ranked:
    """A merge request's place: more points come first; the reasons add up to them."""

    request_id: int
    points: float
    reasons: list[dict[str, Any]] = field(default_factory=list)  # [{name, points, says}]


def rank(rows: Iterable[Facts]) -> list[Ranked]:
    """Most points first; of equals the older one."""
    found = [_ranked(row) for row in rows]
    return sorted(found, key=lambda each: (-each.points, each.request_id))


def _ranked(row: Facts) -> Ranked:
    whys = [_standing(row), *(why for rule in _RULES if (why := rule(row)) is not None)]
    whys.sort(key=lambda why: -why.points)
    points = round(sum(why.points for why in whys), 1)
    return Ranked(row.request_id, points, [why.row() for why in whys])


def _standing(row: Facts) -> Why:
    """Whether there is anything to decide now."""
    if row.state in ("approved", "landing"):
        return Why("decision", 0.0, "decided: it is on its way")
    if row.state in ("changes_requested", "conflicted"):
        return Why("decision", 0.0, "its author works on it")
    if row.has_conflicts:
        return Why("decision", 10.0, "conflicts with its base")
    if row.check in FAILING_STATES:
        return Why("decision", 40.0, "its check does not pass")
    if row.check in ("queued", "running"):
        return Why("decision", 50.0, "its check is not over")
    if row.check == "passed":
        return Why("decision", 100.0, "its check passed: can be decided now")
    return Why("decision", 90.0, "can be decided now, though nothing checks it")


def _waiters(row: Facts) -> Why | None:
    if not row.waiters:
        return None
    points = min(_MOST_FOR_WAITERS, _PER_WAITER * len(row.waiters))
    names = ", ".join(row.waiters[:3]) + (" …" if len(row.waiters) > 3 else "")
    verb = "waits" if len(row.waiters) == 1 else "wait"
    return Why("waiters", points, f"{names} {verb} for it")


def _idle(row: Facts) -> Why | None:
    able = min(row.released, row.idle_agents)
    if not able:
        return None
    points = min(_MOST_FOR_IDLE, _PER_IDLE_AGENT * able)
    return Why("idle", points, f"{counted(able, 'idle agent')} could begin once it has landed")


def _deadline(row: Facts) -> Why | None:
    left = row.due_in
    if left is None:
        return None
    for limit, points in _DEADLINES:
        if left <= limit:
            hours = abs(left) / timedelta(hours=1)
            is_over = left <= timedelta(0)
            says = f"was due {hours:.0f} h ago" if is_over else f"is due in {hours:.0f} h"
            return Why("deadline", points, says)
    return None


def _age(row: Facts) -> Why | None:
    hours = max(0.0, row.age / timedelta(hours=1))
    points = round(min(_MOST_FOR_AGE, _PER_HOUR * hours), 1)
    return Why("age", points, f"waits for {hours:.0f} h") if points >= 1 else None


def _priority(row: Facts) -> Why | None:
    points = max(-_MOST_FOR_PRIORITY, min(_MOST_FOR_PRIORITY, _PER_PRIORITY * row.priority))
    return Why("priority", points, f"its task's priority is {row.priority}") if points else None


def _collisions(row: Facts) -> Why | None:
    if not row.collisions:
        return None
    points = min(_MOST_FOR_COLLISIONS, _PER_COLLISION * row.collisions)
    return Why("collisions", points, f"collides with {counted(row.collisions, 'other')}")


def _risk(row: Facts) -> Why | None:
    if not row.risk_points:
        return None
    points = round(min(_MOST_FOR_RISK, _RISK_SHARE * row.risk_points), 1)
    return Why("risk", points, ", ".join(row.risks[:3]))


def _care(row: Facts) -> Why | None:
    points, says = _CARE.get(row.care, (0.0, ""))
    return Why("care", points, says) if points else None


def _cost(row: Facts) -> Why | None:
    if not row.cost_usd:
        return None
    points = round(min(_MOST_FOR_COST, _PER_DOUBLED_DOLLAR * math.log2(1 + row.cost_usd)), 1)
    return Why("cost", points, f"${row.cost_usd:,.2f} went into it") if points >= 1 else None


_RULES = (_waiters, _idle, _deadline, _age, _priority, _collisions, _risk, _care, _cost)
