"""The record as a heat map of models and kinds of work, and in plain words."""

from dataclasses import dataclass
from operator import attrgetter

from app.services import preferring, record
from app.services.context import Context
from app.services.record import Counts, Row

BYS = (
    ("label", "kind"),
    ("language", "language"),
    ("area", "directory"),
    ("repository", "repository"),
)
_MOST_KINDS, _MOST_NAMED = 14, 3


@dataclass(frozen=True)
class Cell:
    """One model at one kind of work; drawn pale where little is known."""

    row: Row

    @property
    def heat(self) -> int:
        """Tenths of what was accepted at once, 0 to 10."""
        return round((self.row.counts.rate or 0.0) * 10)

    @property
    def is_few(self) -> bool:
        return self.row.counts.judged < record.FEW


@dataclass(frozen=True)
class Line:
    """One model: all its work, its cells in the order of the kinds, and what can be said of it."""

    model: str
    counts: Counts
    cells: list[Cell | None]
    strong: list[Row]
    weak: list[Row]
    untold: int  # kinds where too little is known to say either


@dataclass(frozen=True)
class Record:
    by: str
    kinds: list[tuple[str, Counts]]
    more_kinds: int
    lines: list[Line]
    all: Counts
    prefers: bool


def one(ctx: Context, by: str) -> Record:
    """Everything the page shows; Invalid for an unknown `by`."""
    with ctx.db.read() as db:
        table, prefers = record.table(db, by), preferring.is_on(db)
    kinds = list(table.kinds.items())
    return Record(
        by=by,
        kinds=kinds[:_MOST_KINDS],
        more_kinds=max(0, len(kinds) - _MOST_KINDS),
        lines=[_line(table, model, [kind for kind, _ in kinds]) for model in table.models],
        all=table.all,
        prefers=prefers,
    )


def _line(table: record.Table, model: str, kinds: list[str]) -> Line:
    rows = [table.rows.get((model, kind)) for kind in kinds]
    told = [row for row in rows if row is not None and row.counts.judged and row.kind]
    strong = sorted((r for r in told if r.standing == "strong"), key=_low, reverse=True)
    weak = sorted((r for r in told if r.standing == "weak"), key=_high)
    return Line(
        model=model,
        counts=table.models[model],
        cells=[Cell(row) if row is not None else None for row in rows[:_MOST_KINDS]],
        strong=strong[:_MOST_NAMED],
        weak=weak[:_MOST_NAMED],
        untold=len(told) - len(strong) - len(weak),
    )


_low = attrgetter("counts.interval.low")
_high = attrgetter("counts.interval.high")
