"""Who collides with whom, as it is drawn: the matrix, the list below it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.models import Radar
from app.web.contexts.snapshot import Snapshot

LABELS, WIDTH = 52.0, 410.0  # room for the names of rows; of the whole drawing
WIDEST, TALLEST, LOWEST = 29.0, 21.0, 11.0  # a cell with its gap
HEAD = 16.0  # room for the names of columns


@dataclass(frozen=True)
class Member:
    """A branch or a running session, with its place in the drawing."""

    key: str
    name: str
    href: str
    title: str
    is_live: bool  # at work: nothing is offered yet
    at: int
    x: float
    y: float


@dataclass(frozen=True)
class Collision:
    """Two members that touch the same text, or one symbol of each other's."""

    one: Member
    other: Member
    kind: str  # text | symbol
    paths: list[str]
    says: list[str]  # of symbols, a sentence each

    @property
    def anchor(self) -> str:
        return f"pair-{self.one.key}-{self.other.key}-{self.kind}"

    @property
    def title(self) -> str:
        what = "; ".join(self.says) or ", ".join(self.paths)
        return f"{self.one.name} and {self.other.name}: {what}"


@dataclass(frozen=True)
class Matrix:
    """One base's live work. Those that collide with nothing are named only where there is room."""

    radar: Radar
    repository: str
    members: list[Member]
    collisions: list[Collision]
    calm: int  # members that are not drawn, since they collide with nothing
    step: float  # a cell with its gap, in pixels
    rise: float

    @property
    def cell(self) -> tuple[float, float]:
        gap = 3 if self.step > 14 else 1
        return self.step - gap, self.rise - gap

    @property
    def width(self) -> float:
        return max(LABELS + self.step * len(self.members), 160)

    @property
    def height(self) -> float:
        return HEAD + self.rise * len(self.members)

    @property
    def has_heads(self) -> bool:
        """There is room for two letters above each column."""
        return self.step > 14

    @property
    def cells(self) -> list[tuple[Collision, float, float]]:
        """Each collision twice, as the matrix has it, with its corner."""
        return [
            (each, column.x, row.y)
            for each in self.collisions
            for column, row in ((each.one, each.other), (each.other, each.one))
        ]


def matrices(snap: Snapshot) -> list[Matrix]:
    """One of each base that has live work, in the order of the repositories."""
    slugs = {repo.id: repo.slug for repo in snap.repositories}
    rows = sorted(snap.radars.values(), key=lambda row: (row.repository_id, row.base_branch))
    named = len({row.repository_id for row in rows}) > 1
    return [
        matrix(row, slugs.get(row.repository_id, "") if named else "")
        for row in rows
        if len(row.members) > 1
    ]


def matrix(radar: Radar, repository: str = "", room: int = 16) -> Matrix:
    """The drawing of one row; with more than `room` members only those that collide are drawn."""
    touched = {key for each in radar.collisions for key in (each["one"], each["other"])}
    drawn = radar.members
    if len(drawn) > room:
        drawn = [row for row in radar.members if row["key"] in touched or row["key"] == "base"]
    ordered = [row for row in drawn if row["key"] != "base"]
    ordered += [row for row in drawn if row["key"] == "base"]
    step = min(WIDEST, (WIDTH - LABELS) / max(1, len(ordered)))
    rise = max(LOWEST, min(TALLEST, step))
    members = [_member(row, at, step, rise) for at, row in enumerate(ordered)]
    return Matrix(
        radar=radar,
        repository=repository,
        members=members,
        collisions=_collisions(radar.collisions, {member.key: member for member in members}),
        calm=len(radar.members) - len(drawn),
        step=step,
        rise=rise,
    )


def _member(row: dict[str, Any], at: int, step: float, rise: float) -> Member:
    request_id, agent = row.get("merge_request_id"), str(row.get("agent") or "")
    is_base = row["key"] == "base"
    href = f"/reviews/{request_id}" if request_id else f"/agents/{agent}" if agent else ""
    branch = str(row.get("branch") or "")
    name = branch if is_base else agent or (f"#{request_id}" if request_id else branch)
    return Member(
        key=str(row["key"]),
        name=name,
        href=href,
        title=str(row.get("title") or branch),
        is_live=not request_id and not is_base,
        at=at,
        x=LABELS + step * at,
        y=HEAD + rise * at,
    )


def _collisions(found: Sequence[dict[str, Any]], members: dict[str, Member]) -> list[Collision]:
    """Symbols first: where two collide in both ways, the text's cell is drawn over them."""
    known = [
        Collision(
            one=members[each["one"]],
            other=members[each["other"]],
            kind=each["kind"],
            paths=list(each["paths"]),
            says=[str(symbol.get("says", "")) for symbol in each.get("symbols", [])],
        )
        for each in found
        if each["one"] in members and each["other"] in members
    ]
    return sorted(known, key=lambda each: (each.kind != "symbol", each.one.at, each.other.at))
