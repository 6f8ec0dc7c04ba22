"""Preflight: what a merge request would do to the base, computed ahead.

Pages only read what is stored here. It runs when a branch or its base moved.
"""

from app.git import gate, merging
from app.git.clones import Clones, update_refs
from app.models import MergeRequest
from app.models.base import utc_now
from app.services import assess, checks, diffs, returns, rounds
from app.services.context import Context
from app.services.scene import request_scene
from app.store import merge_requests


def preflight(ctx: Context, merge_request_id: int) -> None:
    """Compute and store base, combined tree, conflicts and diff; queue the check."""
    scene = request_scene(ctx, merge_request_id)
    request, clones = scene.request, scene.clones
    base = gate.base_sha(clones, request.base_branch)
    _pin(clones, request)
    outcome = merging.merge_tree(clones, base, request.head_sha)
    fork = gate.merge_base(clones, base, request.head_sha) or base
    stored = diffs.compute(clones, fork, request.head_sha)
    diffs.store(diffs.request_path(ctx, merge_request_id, request.head_sha), stored)
    rounds.settle(ctx, clones, request, stored)
    assessment = assess.of_request(ctx, scene, base, stored)
    with ctx.db.write() as db:
        row = merge_requests.get(db, merge_request_id)
        if row is None or row.head_sha != request.head_sha:
            return  # a newer round has its own preflight
        row.base_sha, row.merge_base_sha = base, fork
        row.tree_sha = outcome.tree or ""
        row.conflicts = [{"path": c.path, "kind": c.kind} for c in outcome.conflicts]
        row.additions, row.deletions = stored.additions, stored.deletions
        row.files, row.updated_at = len(stored.files), utc_now()
        assessment.write(row)
        if outcome.tree is not None and row.state == "conflicted":  # what it met was taken back
            row.state, row.state_reason = "open", ""
        db.add(row)
    if outcome.tree is not None:
        checks.queue_check(ctx, merge_request_id)
    elif request.session_id is not None:
        returns.send_conflict(ctx, merge_request_id)
    ctx.publish("reviews", f"review:{merge_request_id}", "fleet", "wake")


def _pin(clones: Clones, request: MergeRequest) -> None:
    """Keep every round's commits, whatever becomes of the agent's branch."""
    ref = gate.request_ref(request.id or 0, request.round)
    update_refs(clones.gate, [(ref, request.head_sha, None)])
