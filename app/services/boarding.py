"""Boarding: which approved requests may ride the next train, who waits for what, who goes back.

Reads rows only; an approval with conditions waits here until they hold. A failing check is blamed
on its request only where the base is known to pass the same check by itself.
"""

from dataclasses import dataclass, field
from typing import Literal

from sqlmodel import Session as Orm

from app.models import Batch, Check, MergeRequest
from app.models.merge_request import FAILING_STATES
from app.services import train_order
from app.store import batches, merge_requests, radar, tasks
from app.store import checks as check_store

MOST_CARS = 16  # a longer train is bisected longer, and more of it rides again
Place = Literal["rides", "waits", "goes back", "suspect"]
PASSING = ("passed", "none")
_MERGED = "merged"


@dataclass(frozen=True)
class Waiting:
    """An approved request that is not on the base yet, and why: a few words for the human."""

    merge_request_id: int
    why: str


@dataclass
class Platform:
    """The approved requests of one base, sorted out."""

    riders: list[MergeRequest] = field(default_factory=list)  # in the order in which they board
    waits: dict[int, str] = field(default_factory=dict)
    goes_back: dict[int, str] = field(default_factory=dict)  # to the human, with the reason


def platform(db: Orm, repository_id: int, base_branch: str) -> Platform:
    """Sort out the approved ones. A forced one that may ride is the only rider."""
    sorted_out = Platform()
    approved = {
        request.id or 0: request
        for request in merge_requests.approved(db, repository_id)
        if request.base_branch == base_branch
    }
    checks = check_store.newest_of_each(db, approved.keys())
    placed: dict[Place, dict[int, MergeRequest]] = {"rides": {}, "suspect": {}}
    for number, request in approved.items():
        place, why = _place(db, request, checks.get(number))
        placed.setdefault(place, {})[number] = request
        if place in ("waits", "goes back"):
            (sorted_out.waits if place == "waits" else sorted_out.goes_back)[number] = why
    _by_order(db, sorted_out, placed["rides"])
    if not sorted_out.riders:
        _try_one(db, sorted_out, placed["suspect"])
    return sorted_out


def is_base_broken(db: Orm, request: MergeRequest, command: str) -> bool:
    """Whether the base that the request would land on is known to fail the check by itself."""
    return _base_failure(db, request, command) is not None


def is_riding(db: Orm, step: dict[str, object]) -> bool:
    """Whether a train's member still is what was coupled: approved, at that commit."""
    request = merge_requests.get(db, int(str(step["merge_request_id"])))
    return (
        request is not None
        and request.state == "approved"
        and request.approved_sha == step["head_sha"] == request.head_sha
    )


def line(db: Orm) -> list[Waiting]:
    """Why each approved request is not on its base yet, oldest request first."""
    approved = merge_requests.approved(db)
    platforms = {
        key: (platform(db, *key), batches.open_train(db, *key))
        for key in {(r.repository_id, r.base_branch) for r in approved}
    }
    waiting = []
    for request in approved:
        there, train = platforms[request.repository_id, request.base_branch]
        waiting.append(Waiting(request.id or 0, _why(request, there, train)))
    return waiting


def _why(request: MergeRequest, there: Platform, train: Batch | None) -> str:
    number = request.id or 0
    if train is not None:
        if number in {step["merge_request_id"] for step in train.steps}:
            return "the train's check runs"
        if number in {left["merge_request_id"] for left in train.left}:
            return "conflicts with the train ahead"
    known = there.waits.get(number) or there.goes_back.get(number) or request.state_reason
    return known or "next train"


def _place(db: Orm, request: MergeRequest, check: Check | None) -> tuple[Place, str]:
    """Where it goes, and why where it can't ride; the human decides anew of what goes back."""
    if request.conflicts:
        return "goes back", f"Conflicts with {request.base_branch}."
    if request.is_forced:
        return "rides", ""
    state = check.state if check and check.tree_sha == request.tree_sha else "stale"
    command = check.command if check and state not in PASSING else ""
    failure = _base_failure(db, request, command)
    if failure is not None and state != "error":
        return "waits", _base_fails(request, failure, state)
    if request.waits_for_check and state not in PASSING:
        runs = state in ("queued", "running")
        return "waits", "its check runs" if runs else "its check has not passed yet"
    if check is not None and state == "error":
        return "goes back", f"Its check could not be run: {last_words(check)}"
    if state not in FAILING_STATES:
        return "rides", ""
    if check_store.of_base(db, request.repository_id, request.base_sha, command) is None:
        return "suspect", ""
    return "goes back", "Its check does not pass on the combined tree."


def _base_failure(db: Orm, request: MergeRequest, command: str) -> Check | None:
    """The check that says so, where the base itself fails it."""
    if not command:
        return None
    check = check_store.of_base(db, request.repository_id, request.base_sha, command)
    return check if check is not None and check.state not in PASSING else None


def _base_fails(request: MergeRequest, failure: Check, state: str) -> str:
    base = request.base_branch
    runs = "; its own check runs" if state in check_store.IN_FLIGHT else ""
    return (
        f"{base} fails its check by itself (check {failure.id}): mend it there, approve what "
        f"mends it, or run that check again{runs}"
    )


def _try_one(db: Orm, there: Platform, suspects: dict[int, MergeRequest]) -> None:
    """One that fails, on a base of which nothing is known, rides alone: its train finds out."""
    _by_order(db, there, suspects)
    for request in there.riders[1:]:
        there.waits[request.id or 0] = "its check does not pass; whether its base does is seen to"
    there.riders = there.riders[:1]


def last_words(check: Check) -> str:
    """The last line that a check said."""
    return (check.output_tail.strip() or check.state).splitlines()[-1]


def _by_order(db: Orm, there: Platform, free: dict[int, MergeRequest]) -> None:
    """Fill in riders in their best order, and who waits for another to land."""
    wanted = {before for request in free.values() for before in request.after}
    states = {n: request.state for n in wanted if (request := merge_requests.get(db, n))}
    merged = frozenset(n for n, state in states.items() if state == _MERGED)
    wishes = {number: frozenset(request.after) for number, request in free.items()}
    riding = train_order.riders(wishes, merged)
    forced = [number for number in sorted(riding) if free[number].is_forced]
    alone = [number for number in forced if wishes[number] <= merged][:1]
    in_order = alone or train_order.board(
        _passengers(db, {n: free[n] for n in riding - set(forced)}, merged),
        _conflicts(db, next(iter(free.values()), None)),
    )
    there.riders = [free[number] for number in in_order]
    for number in free.keys() - set(in_order):
        behind = sorted(wishes[number] - merged)
        there.waits[number] = (
            ", ".join(_after(n, states.get(n, "")) for n in behind) or "next train"
        )


def _after(number: int, state: str) -> str:
    is_dropped = state in merge_requests.DROPPED_STATES
    return f"after #{number}" + (f", which is {state}" if is_dropped else "")


def _passengers(
    db: Orm, free: dict[int, MergeRequest], merged: frozenset[int]
) -> list[train_order.Passenger]:
    waits = [number for request in merge_requests.open_ones(db) for number in request.after]
    tasks_wait = [task_id for task in tasks.backlog(db) for task_id in task.after]
    return [
        train_order.Passenger(
            id=number,
            approved_at=request.decided_at or request.updated_at,
            after=frozenset(request.after) - merged,
            waiters=waits.count(number) + tasks_wait.count(request.task_id or 0),
        )
        for number, request in free.items()
        if frozenset(request.after) <= merged | free.keys()
    ]


def _conflicts(db: Orm, one: MergeRequest | None) -> list[tuple[int, int]]:
    look = radar.get(db, one.repository_id, one.base_branch) if one else None
    return [
        (int(each["one"]), int(each["other"]))
        for each in (look.collisions if look else [])
        if each["kind"] == "text" and each["one"].isdigit() and each["other"].isdigit()
    ]
