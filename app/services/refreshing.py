"""Refreshing: when a base moved, by whoever's hand, what is open against it is computed anew."""

import time
from collections.abc import Sequence

from app.errors import AppError, GitError
from app.git.cloning import sync
from app.git.gate import base_sha as synced_base
from app.git.landing import human_now
from app.git.names import full_ref
from app.models import MergeRequest, Repository
from app.models.base import utc_now
from app.services import preflight
from app.services.context import Context
from app.services.ranking import ranked
from app.services.repositories import clones_of
from app.store import merge_requests, repositories

PUT_OFF_SECONDS = 60.0  # what could not be done is tried again then

_Base = tuple[int, str]


class Refresher:
    """Brings what is open to its base, the one to decide first in front; found by rows alone.

    It has a thread of its own, so that no landing waits for it.
    """

    def __init__(self) -> None:
        self._put_off: dict[object, float] = {}  # what broke down: until when

    def refresh_stale(self, ctx: Context) -> None:
        """Preflight what was last looked at on another base, until nothing is left."""
        done: set[int | None] = set()
        while (stale := self._first_stale(ctx, done)) is not None:
            request, base_sha = stale
            done.add(request.id)
            try:
                preflight.preflight(ctx, request.id or 0)
            except (GitError, OSError):  # busy, slow, disk full: it may work the next time
                self._later((request.id, request.head_sha, base_sha))
            except AppError as error:
                self._later((request.id, request.head_sha, base_sha))
                hold(ctx, request.id or 0, str(error))

    def _first_stale(self, ctx: Context, done: set[int | None]) -> tuple[MergeRequest, str] | None:
        """It and where its base is now; looked for anew each time, for bases go on moving."""
        with ctx.db.read() as db:
            opened = merge_requests.movable(db)
            served = {row.id or 0: row for row in repositories.every(db)}
        keys = {(r.repository_id, r.base_branch) for r in opened}
        bases = {key: self._present(ctx, served[key[0]], key[1]) for key in keys}
        stale = {
            request.id: (request, base_sha)
            for request in opened
            if request.id not in done
            and (base_sha := bases[request.repository_id, request.base_branch])
            and request.base_sha != base_sha
            and not _is_new(request)
            and self._is_due((request.id, request.head_sha, base_sha))
        }
        if not stale:
            return None
        with ctx.db.read() as db:
            ranks = {each.request_id: at for at, each in enumerate(ranked(db, utc_now()))}
        return min(stale.values(), key=lambda each: ranks.get(each[0].id or 0, len(ranks)))

    def _present(self, ctx: Context, repository: Repository, base_branch: str) -> str:
        """Where the human has it, our clones in step with that; "" where that can't be said."""
        key: _Base = (repository.id or 0, base_branch)
        clones = clones_of(ctx, repository)
        if not self._is_due(key):
            return ""
        try:
            human = human_now(clones.human, full_ref(base_branch))
            if human and human != synced_base(clones, base_branch):
                sync(clones)
        except (AppError, OSError):  # the repository is gone, or busy: whoever needs it says so
            self._later(key)
            return ""
        return human

    def _is_due(self, what: object) -> bool:
        return time.monotonic() >= self._put_off.get(what, 0.0)

    def _later(self, what: object) -> None:
        now = time.monotonic()
        kept = {each: until for each, until in self._put_off.items() if until > now}
        self._put_off = kept | {what: now + PUT_OFF_SECONDS}


def _is_new(request: MergeRequest) -> bool:
    """Whether whoever offered it looks at it right now; one that died over it does not."""
    age = utc_now() - request.created_at
    return not request.base_sha and age.total_seconds() < PUT_OFF_SECONDS


def refresh(
    ctx: Context,
    repository_id: int,
    base_branch: str,
    base_sha: str,
    states: Sequence[str] = merge_requests.MOVABLE_STATES,
) -> None:
    """Preflight every request in `states` that was last looked at on another base.

    One that can't be is put back to the human with the reason; the others are not held up.
    """
    with ctx.db.read() as db:
        stale = [
            request.id or 0
            for request in merge_requests.open_ones(db, repository_id)
            if request.base_branch == base_branch
            and request.state in states
            and request.base_sha != base_sha
        ]
    for request_id in stale:
        try:
            preflight.preflight(ctx, request_id)
        except AppError as error:
            hold(ctx, request_id, str(error))


def hold(ctx: Context, request_id: int, reason: str) -> None:
    """Take an approval back, with the reason: the human decides again."""
    with ctx.db.write() as db:
        held = merge_requests.take_back(db, request_id, ("approved",), "open", reason)
    if held:
        ctx.publish("reviews", f"review:{request_id}", "fleet")
