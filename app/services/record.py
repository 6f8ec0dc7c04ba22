"""The record ("jaggedness map"): how each model's work ended, by kind, with honest intervals.

A change counts as good where it was approved without being sent back and was not reverted since.
Work that lost a contest is told apart: it was not judged by itself.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from sqlmodel import Session as Orm

from app.errors import Invalid
from app.store import outcomes, repositories
from app.store.outcomes import Alike

K = TypeVar("K")
BYS = ("label", "language", "area", "repository")
Z = 1.96  # 95 %
FEW = 5  # below, a rate is only hinted at
_UNKNOWN_MODEL = "unknown model"


@dataclass(frozen=True)
class Interval:
    """Where the true share lies with 95 % confidence (Wilson's score), 0 to 1."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low * 100:.0f}\u2013{self.high * 100:.0f} %"


@dataclass(frozen=True)
class Counts:
    """How pieces of work ended. `reverted` ones are in the other counts too."""

    at_once: int = 0
    after_changes: int = 0
    rejected: int = 0
    not_picked: int = 0
    reverted: int = 0
    good: int = 0  # at once, and not reverted since
    kept: int = 0  # accepted, and not reverted since
    priced_usd: float = 0.0  # of all work whose price is known, lost and rejected included
    priced_kept: int = 0  # of these, the kept ones
    priced: int = 0

    @property
    def judged(self) -> int:
        return self.at_once + self.after_changes + self.rejected

    @property
    def rate(self) -> float | None:
        return self.good / self.judged if self.judged else None

    @property
    def interval(self) -> Interval:
        return wilson(self.good, self.judged)

    @property
    def usd_per_kept(self) -> float | None:
        """All that was spent, over what was kept; None where nothing was, or no price is known."""
        return self.priced_usd / self.priced_kept if self.priced_kept else None

    @property
    def says(self) -> str:
        if not self.judged:
            return "none judged yet"
        return f"{self.good} of {self.judged} accepted at once ({self.interval})"


@dataclass(frozen=True)
class Row:
    """One model's work of one kind; `standing` is strong, weak or "" against all models' work."""

    model: str
    kind: str
    counts: Counts
    standing: str


@dataclass(frozen=True)
class Table:
    """Models x kinds: a row for each pair that has work, models and kinds by how much they have."""

    by: str
    models: dict[str, Counts]
    kinds: dict[str, Counts]
    rows: dict[tuple[str, str], Row]
    all: Counts


def wilson(good: int, total: int) -> Interval:
    """The score interval of `good` among `total`; all of 0 to 1 where there was none."""
    if total <= 0:
        return Interval(0.0, 1.0)
    share, z2 = good / total, Z * Z
    middle = share + z2 / (2 * total)
    spread = Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    scale = 1 + z2 / total
    return Interval(max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def table(db: Orm, by: str = "label") -> Table:
    """The whole record by one kind of kind; "" is work of no such kind."""
    if by not in BYS:
        raise Invalid(f"The record is told by {', '.join(BYS)}; not by {by[:40]!r}.")
    slugs = {row.id: row.slug for row in repositories.every(db)}
    kinds: dict[str, Callable[[Alike], str]] = {
        "label": lambda row: row.label,
        "language": lambda row: row.language,
        "area": lambda row: row.area,
        "repository": lambda row: slugs.get(row.repository_id, ""),
    }
    kind, known = kinds[by], outcomes.alike(db)
    whole = tally(known)
    pairs = _grouped(known, lambda row: (_model(row), kind(row)))
    return Table(
        by=by,
        models=_by_size(_grouped(known, _model)),
        kinds=_by_size(_grouped(known, kind)),
        rows={
            pair: Row(*pair, counts, standing(counts, whole))
            for pair, mine in pairs.items()
            for counts in [tally(mine)]
        },
        all=whole,
    )


def line(db: Orm, model: str, *, label: str = "", language: str = "", area: str = "") -> str:
    """What is known of this model at this kind of work, as one sentence; the narrowest that is."""
    names = {wished: worked for (_, wished), worked in outcomes.models(db).items()}
    model = names.get(model) or model  # an alias means the model that then worked
    mine = outcomes.alike(db, model)
    for what, wanted in (("label", label), ("area", area), ("language", language)):
        counts = tally(row for row in mine if getattr(row, what) == wanted)
        if wanted and counts.judged:
            return f"{model} on {wanted}: {counts.says}"
    counts = tally(mine)
    if not counts.judged:
        return f"Nothing by {model or 'this model'} was judged yet."
    return f"{model}, all kinds of work: {counts.says}"


def standing(counts: Counts, all_work: Counts) -> str:
    """Say "strong" or "weak" where the interval lies beyond the share of all work."""
    if all_work.rate is None or not counts.judged:
        return ""
    if counts.interval.low > all_work.rate:
        return "strong"
    return "weak" if counts.interval.high < all_work.rate else ""


def tally(rows: Iterable[Alike]) -> Counts:
    """The counts of these outcomes."""
    mine = list(rows)
    kept = [
        row for row in mine if row.outcome in ("at_once", "after_changes") and not row.is_reverted
    ]

    def ended(outcome: str, rows: list[Alike] = mine) -> int:
        return sum(row.pieces for row in rows if row.outcome == outcome)

    return Counts(
        at_once=ended("at_once"),
        after_changes=ended("after_changes"),
        rejected=ended("rejected"),
        not_picked=ended("not_picked"),
        reverted=sum(row.pieces for row in mine if row.is_reverted),
        good=ended("at_once", kept),
        kept=sum(row.pieces for row in kept),
        priced_usd=sum(row.priced_usd for row in mine),
        priced_kept=sum(row.priced for row in kept),
        priced=sum(row.priced for row in mine),
    )


def _model(row: Alike) -> str:
    return row.model or _UNKNOWN_MODEL


def _grouped(rows: Iterable[Alike], key: Callable[[Alike], K]) -> dict[K, list[Alike]]:
    found: dict[K, list[Alike]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _by_size(groups: dict[str, list[Alike]]) -> dict[str, Counts]:
    sized = {name: tally(rows) for name, rows in groups.items()}
    return dict(sorted(sized.items(), key=lambda item: (-item[1].judged, item[0])))
