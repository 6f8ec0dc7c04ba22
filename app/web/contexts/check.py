"""A check as its panel shows it: what ran, how often, and the end of what it printed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlmodel import Session as Orm

from app.models import Check
from app.models.base import utc_now
from app.models.merge_request import FAILING_STATES
from app.services import check_log
from app.services.context import Context
from app.store import batches, checks, merge_requests
from app.web.ansi import clean

SHOWN_BYTES = 24_000  # of the end of the output


@dataclass(frozen=True)
class Checked:
    check: Check | None
    runs: Sequence[Check] = ()  # of the same tree by the same command, oldest first
    output: str = ""
    is_cut: bool = False  # there is more of it
    is_old: bool = False  # of another tree than the present one, for which there is none

    @property
    def is_running(self) -> bool:
        return self.check is not None and self.check.state in checks.IN_FLIGHT

    @property
    def is_failing(self) -> bool:
        return self.check is not None and self.check.state in FAILING_STATES

    @property
    def is_flaky(self) -> bool:
        return checks.is_flaky(self.runs)

    @property
    def took(self) -> str:
        """How long it ran, or has run until now; "" before it began."""
        if self.check is None or self.check.started_at is None:
            return ""
        seconds = ((self.check.ended_at or utc_now()) - self.check.started_at).total_seconds()
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def of_request(ctx: Context, merge_request_id: int) -> Checked:
    """The newest check of a merge request."""
    with ctx.db.read() as db:
        found = _checked(ctx, db, merge_requests.latest_check(db, merge_request_id))
        request = merge_requests.get(db, merge_request_id)
    trees = {request.tree_sha if request else "", found.check.tree_sha if found.check else ""}
    return replace(found, is_old=found.check is not None and len(trees) > 1)


def of_batch(ctx: Context, batch_id: int) -> Checked:
    """The newest check of a union's tree."""
    with ctx.db.read() as db:
        batch = batches.get(db, batch_id)
        found = batches.check_of(db, batch_id, batch.tree_sha) if batch else None
        return _checked(ctx, db, found)


def _checked(ctx: Context, db: Orm, check: Check | None) -> Checked:
    if check is None or check.state == "none":
        return Checked(check)
    runs = checks.runs(db, check.tree_sha, check.command)
    piece = check_log.tail(ctx, check.id or 0, -SHOWN_BYTES)
    printed = check.output_tail
    if check.state in checks.IN_FLIGHT or not printed:
        printed = piece.text
    return Checked(check, runs, clean(printed[-SHOWN_BYTES:]), len(printed) >= SHOWN_BYTES)
