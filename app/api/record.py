"""The record over JSON: how each model's work ended, by kind of work; and the preference by it."""

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import Given, View
from app.services import preferring, record

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["record"])


class RecordRowView(View):
    """What one model did of one kind of work."""

    model: str
    kind: str = Field(description="Empty: work without such a kind.")
    at_once: int
    after_changes: int
    rejected: int
    not_picked: int = Field(description="Lost a contest; not among the judged.")
    reverted: int = Field(description="Of the accepted, taken back later.")
    good: int = Field(description="Accepted at once and not reverted since.")
    judged: int
    rate: float | None = Field(description="Good of judged; null: none was judged.")
    low: float = Field(
        description="The true rate is between `low` and `high` with 95 % confidence."
    )
    high: float
    standing: str = Field(description="`strong` or `weak` against all work, empty: can't be told.")
    usd_per_kept: float | None = Field(
        description="All that was spent, lost work included, per accepted change; null: unknown."
    )
    priced: int = Field(description="Pieces of work that this is known of.")


class RecordView(View):
    by: str
    prefers: bool = Field(description="Whether the dispatcher prefers models by their record.")
    rows: list[RecordRowView]


class Preference(Given):
    on: bool


@router.get("/record", summary="Per model and kind of work: how it ended, with intervals")
def show(ctx: Ctx, by: Literal["label", "language", "area", "repository"] = "label") -> RecordView:
    with ctx.db.read() as db:
        table, prefers = record.table(db, by), preferring.is_on(db)
    return RecordView(by=by, prefers=prefers, rows=[_row(row) for row in table.rows.values()])


@router.put("/record/preference", summary="Let the dispatcher prefer models by their record")
def prefer(ctx: Ctx, given: Preference) -> Preference:
    return Preference(on=preferring.set_on(ctx, given.on))


def _row(row: record.Row) -> RecordRowView:
    counts, interval = row.counts, row.counts.interval
    return RecordRowView(
        model=row.model,
        kind=row.kind,
        at_once=counts.at_once,
        after_changes=counts.after_changes,
        rejected=counts.rejected,
        not_picked=counts.not_picked,
        reverted=counts.reverted,
        good=counts.good,
        judged=counts.judged,
        rate=counts.rate,
        low=interval.low,
        high=interval.high,
        standing=row.standing,
        usd_per_kept=counts.usd_per_kept,
        priced=counts.priced,
    )
