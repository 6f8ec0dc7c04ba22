"""Merge requests as the human judges them: ranked, one row each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import AppError
from app.models import Check, MergeRequest
from app.models.merge_request import FAILING_STATES
from app.services import deciding
from app.services.context import Context
from app.services.deciding import Gate
from app.services.radar import Warned, warnings
from app.services.radar_members import BASE
from app.services.rank_rules import Facts, Ranked, rank
from app.services.ranking import facts
from app.store import merge_requests
from app.web.contexts import row_words
from app.web.contexts.snapshot import Snapshot

APPROVABLE = ("open", "changes_requested")
CLOSED = 12  # of what was decided last
CARES = ("study", "read", "glance")


@dataclass(frozen=True)
class ReviewRow:
    request: MergeRequest
    agent: str
    check: Check | None
    conflicts: list[str]  # paths that conflict with the base

    @property
    def is_failing(self) -> bool:
        return self.check is not None and self.check.state in FAILING_STATES

    @property
    def can_approve(self) -> bool:
        return self.request.state in APPROVABLE and not self.conflicts

    @property
    def can_land(self) -> bool:
        """Approve it and it lands, as far as is known now."""
        return (
            self.can_approve and self.check is not None and self.check.state in ("passed", "none")
        )


@dataclass(frozen=True)
class RankedRow(ReviewRow):
    """A row with its place in the list and what it takes to decide it."""

    place: int  # 1 is first
    ranked: Ranked
    touches: list[Warned]  # other work that it collides with
    gate: Gate  # what its care level still wants looked at
    facts: Facts
    contest_id: int | None  # it is one of several answers to one task

    @property
    def size(self) -> row_words.Size:
        return row_words.size(self.request)

    @property
    def risk_words(self) -> str:
        return row_words.risks(self.request.risks)

    @property
    def seen_words(self) -> str:
        return row_words.seen(self.gate)

    @property
    def can_decide(self) -> bool:
        return self.request.state in (*APPROVABLE, "approved", "conflicted")

    @property
    def hindrance(self) -> str:
        """Why a key in the list can't approve it, as a sentence; "" where it can."""
        return self._refusal(bulk=False)

    @property
    def not_in_bulk(self) -> str:
        """Why it can't be one of many; "" where it can."""
        return self._refusal(bulk=True)

    def _refusal(self, *, bulk: bool) -> str:
        return refusal(self.request, self.check, self.gate, bulk=bulk)


@dataclass(frozen=True)
class Reviews:
    rows: list[RankedRow]  # it is the human's turn, best first
    away: list[RankedRow]  # approved or sent back: on their way
    closed: list[MergeRequest]
    agents: dict[int, str]

    @property
    def can_land(self) -> int:
        return sum(row.can_land for row in self.rows)

    @property
    def by_care(self) -> list[tuple[str, int]]:
        """How many of each care can land, the strictest first."""
        found = Counter(row.request.care for row in self.rows if row.can_land)
        return [(care, found[care]) for care in CARES if found[care]]

    @property
    def glances(self) -> int:
        return sum(row.request.care == "glance" and not row.not_in_bulk for row in self.rows)

    @property
    def colliding(self) -> int:
        return sum(bool(row.conflicts or row.touches) for row in self.rows)


def listing(ctx: Context, snap: Snapshot) -> Reviews:
    """Everything open in its rank, and what was decided last."""
    with ctx.db.read() as db:
        closed = merge_requests.closed(db, CLOSED)
        found = facts(db, snap.merge_requests, snap.now)
        gates = deciding.gates(ctx, db, snap.merge_requests)
    ranked = rank(found.values())
    places = {each.request_id: place for place, each in enumerate(ranked)}
    names = {agent.id or 0: agent.name for agent in snap.agents}
    rows = [
        RankedRow(
            **vars(row_of(request, snap.checks, names)),
            place=places[request.id or 0] + 1,
            ranked=ranked[places[request.id or 0]],
            touches=touches(snap, request),
            gate=gates[request.id or 0],
            facts=found[request.id or 0],
            contest_id=task.contest_id if (task := snap.tasks.get(request.task_id or 0)) else None,
        )
        for request in snap.merge_requests
    ]
    rows.sort(key=lambda row: row.place)
    return Reviews(
        rows=[row for row in rows if row.request.state == "open"],
        away=[row for row in rows if row.request.state != "open"],
        closed=closed,
        agents=names,
    )


def hindrances(ctx: Context, snap: Snapshot, requests: Sequence[MergeRequest]) -> dict[int, str]:
    """What hinders approving each by one press, in a few words by its id; "" where nothing does."""
    with ctx.db.read() as db:
        gates = deciding.gates(ctx, db, requests)
    found = {}
    for request in requests:
        number = request.id or 0
        gate, check = gates[number], snap.checks.get(number)
        hindered = refusal(request, check, gate, bulk=False)
        found[number] = hindered and (row_words.todo(gate) or "look why")
    return found


def refusal(request: MergeRequest, check: Check | None, gate: Gate, *, bulk: bool) -> str:
    """Why it can't be approved by one press, as a sentence; "" where it can."""
    if request.state not in APPROVABLE:
        return f"#{request.id} is {request.state.replace('_', ' ')} already."
    try:
        deciding.pass_check(request, check, force=False, when_checks_pass=False)
        deciding.pass_gate(request, gate, bulk=bulk)
    except AppError as error:
        return str(error)
    return ""


def row_of(request: MergeRequest, checks: dict[int, Check], names: dict[int, str]) -> ReviewRow:
    """One merge request by itself, as its own page shows it once it is decided."""
    paths = [str(conflict.get("path", "")) for conflict in request.conflicts]
    check = checks.get(request.id or 0)
    return ReviewRow(request, names.get(request.agent_id or 0, ""), check, paths)


def touches(snap: Snapshot, request: MergeRequest) -> list[Warned]:
    """What else is under way that it collides with, the text's collisions first."""
    row = snap.radars.get((request.repository_id, request.base_branch))
    return [each for each in warnings(row, str(request.id)) if each.other_key != BASE]
