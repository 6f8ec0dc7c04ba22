"""Unions: several merge requests looked at as one diff, checked as one tree, approved together.

Made of rows at once; the supervisor builds and checks it. One whose member or base moved is stale.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import msgspec
from sqlmodel import Session as Orm

from app.errors import AppError, Conflict, Invalid, NotFound
from app.git import gate, trains
from app.git.clones import Clones
from app.git.repositories import QUARTERDECK
from app.models import Batch, MergeRequest, Repository
from app.models.base import utc_now
from app.services import checks, deciding, diffs, reviews, seen
from app.services.context import Context
from app.services.repositories import clones_of
from app.store import batches, merge_requests
from app.store import unions as store

LEAST, MOST = 2, 50
_JOINABLE = ("open", "approved", "changes_requested")


def make(ctx: Context, merge_request_ids: Sequence[int]) -> Batch:
    """Ask for the union of these, in this order; a live one of the very same heads is given."""
    ids = list(dict.fromkeys(merge_request_ids))
    if not LEAST <= len(ids) <= MOST:
        raise Invalid(f"A union is of {LEAST} to {MOST} merge requests.")
    with ctx.db.write() as db:
        requests = [_joinable(db, each) for each in ids]
        bases = {(request.repository_id, request.base_branch) for request in requests}
        if len(bases) > 1:
            raise Invalid("They land on different bases, so they have no union.")
        members = [{"merge_request_id": r.id, "head_sha": r.head_sha} for r in requests]
        same = [union for union in store.live(db) if union.members == members]
        union = same[-1] if same else Batch(
            repository_id=requests[0].repository_id,
            base_branch=requests[0].base_branch,
            kind="union",
            members=members,
        )  # fmt: skip
        db.add(union)
    ctx.publish("reviews", "wake")
    return union


def build_waiting(ctx: Context) -> None:
    """Build what was asked for, and mark what is outdated; the supervisor's, since git is slow."""
    with ctx.db.read() as db:
        live = store.live(db)
        ids = {member["merge_request_id"] for union in live for member in union.members}
        heads = merge_requests.heads(db, ids)
    base_of = lru_cache(partial(_base, ctx))  # asked once for all unions of a base
    for union in live:
        if (why := _outdated(union, heads, base_of)) or union.state == "building":
            more = {"now": "stale", "state_reason": why} if why else _built(ctx, union)
            with ctx.db.write() as db:
                batches.change_state(db, union.id or 0, (union.state,), **more)
            ctx.publish("reviews", f"union:{union.id}", "wake")


def diff(ctx: Context, *, batch_id: int) -> diffs.StoredDiff | None:
    """The one diff of all that is in; None where it is not built yet."""
    return diffs.load(diffs.union_path(ctx, batch_id))


def note_seen(
    ctx: Context, *, batch_id: int, paths: Sequence[str] | None = None, ticked: bool = False
) -> None:
    """The union's files (None: all) were shown or ticked: that counts for each member's."""
    with ctx.db.read() as db:
        union = existing(db, batch_id)
    for step in union.steps:
        listed = diffs.changed_files(ctx, step["merge_request_id"], step["head_sha"])
        wanted = [file.path for file in listed.files] if listed else []
        seen.note(
            ctx,
            merge_request_id=step["merge_request_id"],
            head_sha=step["head_sha"],
            paths=[path for path in wanted if paths is None or path in paths],
            ticked=ticked,
        )
    ctx.publish(f"union:{batch_id}")


def approve(ctx: Context, *, batch_id: int, head_sha: str) -> list[int]:
    """Approve all that is in this very union, or none; returns their ids.

    NotSeen where a member was not looked at as its own care level asks.
    """
    with ctx.db.read() as db:  # the diffs' lists are read from files before the writer is taken
        for request in _members(ctx, db, existing(db, batch_id)):
            deciding.gate(ctx, db, request)
    with ctx.db.write() as db:
        union = existing(db, batch_id)
        if union.state != "ready" or union.head_sha != head_sha:
            raise Conflict(
                f"Union {batch_id} is {union.state} at {union.head_sha[:12] or 'nothing yet'}. "
                f"{union.state_reason or 'Look again.'}"
            )
        requests = [r for r in _members(ctx, db, union) if r.state != "approved"]
        gates = [deciding.gate(ctx, db, request) for request in requests]
        for request, gate_of in zip(requests, gates, strict=True):
            deciding.pass_gate(request, gate_of, bulk=False)
        for request, gate_of in zip(requests, gates, strict=True):
            reviews.approve_in(db, request, gate_of, union_id=batch_id)
        ids = [request.id or 0 for request in requests]
    reviews.announce(ctx, *ids)
    return ids


def existing(db: Orm, batch_id: int) -> Batch:
    union = store.get(db, batch_id)
    if union is None:
        raise NotFound(f"There is no union {batch_id}.")
    return union


def _joinable(db: Orm, merge_request_id: int) -> MergeRequest:
    request = merge_requests.existing(db, merge_request_id)
    if request.state not in _JOINABLE:
        raise Conflict(f"#{merge_request_id} is {request.state}; leave it out.")
    return request


def _members(ctx: Context, db: Orm, union: Batch) -> list[MergeRequest]:
    """Those that are in, each at the head that was built; Conflict where one moved on."""
    return [
        deciding.at_head(ctx, db, step["merge_request_id"], step["head_sha"])
        for step in union.steps
    ]


def _outdated(
    union: Batch, heads: dict[int, tuple[str, str]], base_of: Callable[[int, str], str]
) -> str:
    """What moved since it was asked for or built, as a sentence; "" where nothing did."""
    for member in union.members:
        number = member["merge_request_id"]
        head_sha, state = heads[number]
        if head_sha != member["head_sha"]:
            return f"#{number} has new commits."
        if state not in _JOINABLE:
            return f"#{number} is {state}."
    if not union.base_sha:
        return ""
    try:
        base = base_of(union.repository_id, union.base_branch)
    except AppError as error:  # its base is gone: no other union waits for that
        return str(error)
    return f"{union.base_branch} moved." if union.base_sha != base else ""


def _built(ctx: Context, union: Batch) -> dict[str, Any]:
    """The columns of a union that was just built."""
    try:
        return _build(ctx, union)
    except AppError as error:
        return {"now": "failed", "state_reason": str(error), "ended_at": utc_now()}


def _build(ctx: Context, union: Batch) -> dict[str, Any]:
    clones = _clones(ctx, union.repository_id)
    with ctx.db.read() as db:
        requests = [merge_requests.existing(db, m["merge_request_id"]) for m in union.members]
    base = gate.base_sha(clones, union.base_branch)
    train = trains.build(clones, base, [_car(request) for request in requests])
    left = [msgspec.to_builtins(each) for each in train.left]
    if not train.steps:
        reason = f"None of them merges with {union.base_branch}."
        return {"now": "failed", "state_reason": reason, "base_sha": base, "left": left}
    last = train.steps[-1]
    stored = diffs.compute(clones, base, last.commit_sha)
    diffs.store(diffs.union_path(ctx, union.id or 0), stored)
    checks.want(
        ctx,
        repository_id=union.repository_id,
        base_sha=base,
        tree_sha=last.tree_sha,
        head_sha=last.commit_sha,
        batch_id=union.id,
    )
    return {
        "now": "ready",
        "base_sha": base,
        "steps": [msgspec.to_builtins(each) for each in train.steps],
        "left": left,
        "head_sha": last.commit_sha,
        "tree_sha": last.tree_sha,
    }


def _base(ctx: Context, repository_id: int, base_branch: str) -> str:
    return gate.base_sha(_clones(ctx, repository_id), base_branch)


def _clones(ctx: Context, repository_id: int) -> Clones:
    with ctx.db.read() as db:
        return clones_of(ctx, db.get_one(Repository, repository_id))


def _car(request: MergeRequest) -> trains.Car:
    """Only for the eye: the queue couples anew what was approved, by the repository's strategy."""
    return trains.Car(
        merge_request_id=request.id or 0,
        head_sha=request.head_sha,
        message=f"#{request.id}: {request.title}",
        author=QUARTERDECK,
        at=request.created_at,
    )
