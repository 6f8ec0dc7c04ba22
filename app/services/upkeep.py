"""Upkeep of stored diffs: those whose file is gone are computed again, old ones are put away.

What is open is mended by itself; of what is decided a diff is computed when somebody asks for it.
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from app.errors import AppError
from app.models import Batch, MergeRequest
from app.models.base import utc_now
from app.services import diffs, preflight
from app.services.context import Context
from app.services.diffs import Wanted
from app.services.repositories import clones_of
from app.store import merge_requests, repositories, unions

KEEP = timedelta(days=30)  # diffs of what was decided
KEEP_UNION = timedelta(days=1)  # of what is outdated, and built again with one press
AGAIN_SECONDS = 60.0  # after one that could not be computed
YOUNG = timedelta(seconds=30)  # a request that was just offered: its preflight is on its way

log = structlog.get_logger()


class Keeper:
    """Computes what is missing; remembers for a while what could not be."""

    def __init__(self) -> None:
        self._failed: dict[Path, float] = {}  # when it was tried last

    def look(self, ctx: Context) -> None:
        """The supervisor's, since git is slow; one look at a file for each open request."""
        with ctx.db.read() as db:
            opened = merge_requests.movable(db)
            ready = [union for union in unions.live(db) if union.state == "ready"]
        for request in opened:
            self._restore(ctx, request)
        for union in ready:
            self._restore_union(ctx, union)
        for wanted in diffs.take_wanted(ctx):
            self._compute(ctx, wanted)

    def _restore(self, ctx: Context, request: MergeRequest) -> None:
        """Where it was never preflighted to its end, nothing else of it is known either."""
        path = diffs.request_path(ctx, request.id or 0, request.head_sha)
        if utc_now() - request.updated_at < YOUNG or not self._is_missing(path):
            return
        try:
            preflight.preflight(ctx, request.id or 0)
        except (AppError, OSError) as error:
            self._note(path, error)

    def _restore_union(self, ctx: Context, union: Batch) -> None:
        path = diffs.union_path(ctx, union.id or 0)
        if self._is_missing(path):
            self._compute(ctx, Wanted(path, union.repository_id, union.base_sha, union.head_sha))
            ctx.publish(f"union:{union.id}")

    def _compute(self, ctx: Context, wanted: Wanted) -> None:
        if not self._is_missing(wanted.path):
            return
        with ctx.db.read() as db:
            repository = repositories.get(db, wanted.repository_id)
        if repository is None:
            return
        try:
            found = diffs.compute(clones_of(ctx, repository), wanted.base_sha, wanted.head_sha)
            diffs.store(wanted.path, found)
        except (AppError, OSError) as error:
            self._note(wanted.path, error)

    def _is_missing(self, path: Path) -> bool:
        tried = self._failed.get(path)
        is_due = tried is None or time.monotonic() - tried > AGAIN_SECONDS
        return is_due and not path.exists()

    def _note(self, path: Path, error: Exception) -> None:
        self._failed[path] = time.monotonic()
        diffs.note_problem(path, str(error))
        log.warning("a diff could not be computed", file=path.name, problem=str(error))


def prune(ctx: Context, now: datetime | None = None) -> int:
    """Delete diffs of what was decided 30 days ago, and of unions outdated for a day; how many."""
    now = now or utc_now()
    with ctx.db.read() as db:
        kept = {None, *merge_requests.not_closed_before(db, now - KEEP)}
        built = {None, *(union.id for union in unions.live(db))}
    old = [path for path in _older(ctx, now - KEEP) if diffs.request_of(path) not in kept]
    for path in _older(ctx, now - KEEP_UNION):
        if path.suffix == ".new" or diffs.union_of(path) not in built:
            old.append(path)
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _older(ctx: Context, moment: datetime) -> Iterator[Path]:
    for path in diffs.directory(ctx).glob("*"):
        if path.stat().st_mtime < moment.timestamp():
            yield path
