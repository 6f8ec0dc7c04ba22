"""Deciding: what a verdict needs before it counts, and what is written down with it.

Care says how much must have been looked at: `glance` nothing, `read` every file shown, `study`
every file ticked. What was seen is known by content, so new commits ask for what they changed only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session as Orm

from app.errors import Conflict, Invalid, NotSeen
from app.models import Check, MergeRequest
from app.models.base import utc_now
from app.models.merge_request import FAILING_STATES
from app.services import diffs, ranking, seen
from app.services.context import Context
from app.services.rank_rules import rank
from app.store import merge_requests

NAMED = 3  # paths that a sentence names
_FAILED = {"error": "Its check could not be run", "timeout": "Its check ran out of time"}


@dataclass(frozen=True)
class Gate:
    """What stands between a merge request and its approval."""

    care: str
    states: dict[str, seen.State] = field(default_factory=dict)  # of each file, by its path
    missing: tuple[str, ...] = ()  # paths still to be shown (read) or ticked (study)
    is_known: bool = True  # False: its diff is not computed yet

    def count(self, state: seen.State) -> int:
        return sum(each == state for each in self.states.values())


def at_head(ctx: Context, db: Orm, merge_request_id: int, head_sha: str) -> MergeRequest:
    """The request, if that commit is still its head; else Conflict, with what changed."""
    request = merge_requests.existing(db, merge_request_id)
    if request.head_sha != head_sha:
        raise Conflict(
            f"#{merge_request_id} has new commits since you looked: it is at "
            f"{request.head_sha[:12]}, you saw {head_sha[:12] or 'nothing'}."
            f"{_what_changed(ctx, request, head_sha)} Look again."
        )
    return request


def gate(ctx: Context, db: Orm, request: MergeRequest) -> Gate:
    """What its care level still wants looked at; not assessed yet counts as `read`."""
    return gates(ctx, db, [request])[request.id or 0]


def gates(ctx: Context, db: Orm, requests: Sequence[MergeRequest]) -> dict[int, Gate]:
    """`gate` of each, by its id: few questions for a whole list."""
    listed = [(one, diffs.changed_files(ctx, one.id or 0, one.head_sha)) for one in requests]
    states = seen.states(db, [(one, known.files) for one, known in listed if known])
    return {one.id or 0: _gate(one.care or "read", states.get(one.id or 0)) for one in requests}


def _gate(care: str, states: dict[str, seen.State] | None) -> Gate:
    if states is None:
        return Gate(care, is_known=False)
    enough = {"glance": tuple(seen.STATES), "read": ("shown", "ticked"), "study": ("ticked",)}[care]
    missing = tuple(path for path, state in states.items() if state not in enough)
    return Gate(care, states, missing)


def pass_gate(request: MergeRequest, gate: Gate, *, bulk: bool) -> None:
    """NotSeen where the human has not looked as closely as its care level asks."""
    name = f"#{request.id}"
    if gate.care == "study" and bulk:
        sentence = f"{name} asks to be studied and is never approved in bulk; open it."
        raise NotSeen(sentence, care=gate.care, missing=gate.missing or tuple(gate.states))
    if gate.care != "glance" and not gate.is_known:
        raise Conflict(f"The diff of {name} is not computed yet; look again in a moment.")
    if gate.missing:
        todo = "ticked" if gate.care == "study" else "shown"
        sentence = f"{name} is of care {gate.care}: {_named(gate.missing)} not {todo} yet; open it."
        raise NotSeen(sentence, care=gate.care, missing=gate.missing)


def pass_check(
    request: MergeRequest, check: Check | None, *, force: bool, when_checks_pass: bool
) -> None:
    """Conflict where it can't land, or its check failed and nobody said what to do about it."""
    if request.conflicts:
        paths = [str(conflict["path"]) for conflict in request.conflicts]
        raise Conflict(
            f"It conflicts with {request.base_branch} in {_named(paths)}; "
            "send it back to its author first."
        )
    if force and when_checks_pass:
        raise Invalid("Approve it with force or when its checks pass, not both.")
    if check is not None and check.state in FAILING_STATES and not (force or when_checks_pass):
        problem = _FAILED.get(check.state, "Its check failed")
        raise Conflict(
            f"{problem}; request changes, approve it for when its checks pass, "
            "or approve it with force all the same."
        )


def conditions(db: Orm, request: MergeRequest, after: Iterable[int]) -> list[int]:
    """Those of `after` that have still to land first; Invalid or Conflict where that can't be."""
    waits_for: list[int] = []
    for other_id in dict.fromkeys(after):
        other = merge_requests.existing(db, other_id)
        if other_id == request.id:
            raise Invalid(f"#{other_id} can't land after itself.")
        if (other.repository_id, other.base_branch) != (request.repository_id, request.base_branch):
            raise Invalid(f"#{other_id} lands on another base, so nothing can wait for it.")
        if other.state in merge_requests.DROPPED_STATES:
            raise Conflict(f"#{other_id} is {other.state}; nothing can wait for it.")
        if request.id in _waits_for(db, other):
            raise Conflict(f"#{other_id} itself lands after #{request.id}.")
        if other.state != "merged":
            waits_for.append(other_id)
    return waits_for


def evidence(db: Orm, request: MergeRequest, gate: Gate) -> dict[str, Any]:
    """What was known when the verdict fell, for the ledger."""
    check = merge_requests.latest_check(db, request.id or 0)
    return {
        "check": check.model_dump(include={"id", "state", "tree_sha", "run"}) if check else None,
        "care": gate.care,
        "round": request.round,
        "base_sha": request.base_sha,
        "merge_base_sha": request.merge_base_sha,
        "files": len(gate.states),
        "shown": gate.count("shown"),
        "ticked": gate.count("ticked"),
        "conflicts": [str(conflict["path"]) for conflict in request.conflicts],
        "risks": [risk["kind"] for risk in request.risks],
        "rank": rank(ranking.facts(db, [request], utc_now()).values())[0].points,
    }


def void_approval(request: MergeRequest) -> None:
    """Nothing of an approval is left, its conditions neither."""
    request.approved_sha, request.is_forced = "", False
    request.after, request.waits_for_check = [], False


def strand(db: Orm, gone: MergeRequest) -> list[int]:
    """What was approved to land after one that never will goes back to the human; their ids."""
    stranded = []
    for request in merge_requests.open_ones(db, gone.repository_id):
        if request.state == "approved" and gone.id in request.after:
            reason = f"It was to land after #{gone.id}, which is {gone.state} now."
            if merge_requests.take_back(db, request.id or 0, ("approved",), "open", reason):
                stranded.append(request.id or 0)
    return stranded


def _waits_for(db: Orm, request: MergeRequest) -> set[int]:
    """Everything that has to land before it, as far as it goes."""
    found: set[int] = set()
    ahead = list(request.after)
    while ahead:
        other_id = ahead.pop()
        if other_id not in found:
            found.add(other_id)
            ahead += merge_requests.existing(db, other_id).after
    return found


def _what_changed(ctx: Context, request: MergeRequest, seen_head: str) -> str:
    before = diffs.changed_files(ctx, request.id or 0, seen_head)
    now = diffs.changed_files(ctx, request.id or 0, request.head_sha)
    if before is None or now is None:
        return ""
    old = {(file.path, file.old_blob, file.new_blob) for file in before.files}
    new = {(file.path, file.old_blob, file.new_blob) for file in now.files}
    paths = sorted({path for path, *_ in old ^ new})
    return f" {_named(paths)} changed." if paths else " No file of it changed, its commits did."


def _named(paths: Iterable[str]) -> str:
    listed = list(paths)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
