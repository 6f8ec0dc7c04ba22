"""A union of merge requests as its page shows it: its members, its diff, what it still wants."""

from dataclasses import dataclass

from app.errors import NotFound
from app.models import Batch, Repository
from app.services.context import Context
from app.services.seen import State
from app.store import batches, repositories
from app.web.contexts import reviews, snapshot
from app.web.contexts.reviews import RankedRow

_RANK = {"new": 0, "changed": 1, "shown": 2, "ticked": 3}


@dataclass(frozen=True)
class Member:
    """A merge request of the union, as it is now."""

    id: int
    row: RankedRow | None  # None once it is decided
    is_in: bool  # False: it conflicts with those before it
    conflicts: list[str]  # paths, where it is left out


@dataclass(frozen=True)
class Union:
    batch: Batch
    repository: Repository
    members: list[Member]
    seen: dict[str, State]  # by path, the least that any member's look at it says

    @property
    def is_decidable(self) -> bool:
        return self.batch.state == "ready" and any(m.row and m.is_in for m in self.members)

    @property
    def to_tick(self) -> list[str]:
        """Files of members of care study that are not ticked yet."""
        rows = [member.row for member in self.members if member.row and member.is_in]
        studied = [row.gate for row in rows if row.gate.care == "study"]
        return sorted({path for gate in studied for path in gate.missing})

    @property
    def studies(self) -> bool:
        return any(member.row and member.row.request.care == "study" for member in self.members)

    def authors(self, path: str) -> list[int]:
        """The members that change this file."""
        rows = [member.row for member in self.members if member.row]
        return [row.request.id or 0 for row in rows if path in row.gate.states]


def one(ctx: Context, batch_id: int) -> Union:
    """The union; NotFound where there is none of that number."""
    snap = snapshot.take(ctx)
    with ctx.db.read() as db:
        batch = batches.get(db, batch_id)
        repository = repositories.get(db, batch.repository_id) if batch else None
    if batch is None or batch.kind != "union" or repository is None:
        raise NotFound(f"There is no union {batch_id}; select merge requests in the list.")
    listing = reviews.listing(ctx, snap)
    rows = {row.request.id: row for row in (*listing.rows, *listing.away)}
    left = {one["merge_request_id"]: one["paths"] for one in batch.left}
    members = [
        Member(number, rows.get(number), number not in left, left.get(number, []))
        for number in (one["merge_request_id"] for one in batch.members)
    ]
    return Union(batch, repository, members, _least(members))


def _least(members: list[Member]) -> dict[str, State]:
    found: dict[str, State] = {}
    for row in (member.row for member in members if member.row and member.is_in):
        for path, state in row.gate.states.items():
            if path not in found or _RANK[state] < _RANK[found[path]]:
                found[path] = state
    return found
