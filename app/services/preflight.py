"""Preflight: what a merge request would do to the base and to its rivals, computed ahead.

Pages only read what is stored here. It runs when a branch or its base moved.
"""

from itertools import chain
from typing import Any

from app.git import gate, merging
from app.git.clones import Clones, update_refs
from app.models import MergeRequest
from app.models.base import utc_now
from app.services import checks, diffs, returns
from app.services.context import Context
from app.services.scene import request_scene
from app.store import merge_requests


def preflight(ctx: Context, merge_request_id: int) -> None:
    """Compute and store base, combined tree, conflicts, diff and overlaps; queue the check."""
    scene = request_scene(ctx, merge_request_id)
    request, clones = scene.request, scene.clones
    with ctx.db.read() as db:
        rivals = [
            other
            for other in merge_requests.open_ones(db, request.repository_id)
            if other.id != request.id and other.base_branch == request.base_branch
        ]
    base = gate.base_sha(clones, request.base_branch)
    _pin(clones, request)
    outcome = merging.merge_tree(clones, base, request.head_sha)
    fork = gate.merge_base(clones, base, request.head_sha) or base
    stored = diffs.compute(clones, fork, request.head_sha)
    diffs.store(diffs.request_path(ctx, merge_request_id, request.head_sha), stored)
    overlaps = _overlaps(clones, request, rivals)
    with ctx.db.write() as db:
        row = merge_requests.get(db, merge_request_id)
        if row is None or row.head_sha != request.head_sha:
            return  # a newer round has its own preflight
        row.base_sha, row.merge_base_sha = base, fork
        row.tree_sha = outcome.tree or ""
        row.conflicts = [{"path": c.path, "kind": c.kind} for c in outcome.conflicts]
        row.overlaps = overlaps
        row.additions, row.deletions = stored.additions, stored.deletions
        row.files, row.updated_at = len(stored.files), utc_now()
        db.add(row)
        for rival in rivals:
            _mirror_overlap(row, merge_requests.get(db, rival.id or 0), overlaps)
    if outcome.tree is not None:
        checks.queue_check(ctx, merge_request_id)
    elif request.session_id is not None:
        returns.send_conflict(ctx, merge_request_id)
    ctx.publish("reviews", f"review:{merge_request_id}", "fleet", "wake")


def refresh_after_move(ctx: Context, repository_id: int, base_branch: str) -> None:
    """The base moved: every open request against it is computed anew."""
    with ctx.db.read() as db:
        waiting = [
            request.id or 0
            for request in merge_requests.open_ones(db, repository_id)
            if request.base_branch == base_branch and request.state != "landing"
        ]
    for request_id in waiting:
        preflight(ctx, request_id)


def _pin(clones: Clones, request: MergeRequest) -> None:
    """Keep every round's commits, whatever becomes of the agent's branch."""
    ref = f"refs/quarterdeck/requests/{request.id}/{request.round}"
    update_refs(clones.gate, [(ref, request.head_sha, None)])


def _overlaps(
    clones: Clones, request: MergeRequest, rivals: list[MergeRequest]
) -> list[dict[str, Any]]:
    """The open requests that this one conflicts with: [{merge_request_id, paths}]."""
    pairs = [(request.head_sha, rival.head_sha) for rival in rivals]
    outcomes = merging.pairwise(clones, pairs)
    return [
        {"merge_request_id": rival.id, "paths": [c.path for c in outcome.conflicts][:20]}
        for rival, outcome in zip(rivals, outcomes, strict=True)
        if outcome.tree is None
    ]


def _mirror_overlap(
    request: MergeRequest, rival: MergeRequest | None, overlaps: list[dict[str, Any]]
) -> None:
    """A rival shows the same conflict from its side."""
    if rival is None:
        return
    others = [o for o in rival.overlaps if o["merge_request_id"] != request.id]
    mine = [o for o in overlaps if o["merge_request_id"] == rival.id]
    mirrored = [{"merge_request_id": request.id, "paths": o["paths"]} for o in mine]
    rival.overlaps = list(chain(others, mirrored))
