"""Checks: the repository's own command, run on the combined tree in a disposable place.

It runs the repository's code, so it runs boxed like a session, time-limited, and ends as a group.
"""

from dataclasses import dataclass

from app.errors import AppError
from app.git import disposable
from app.git.config import read_config
from app.git.tree import remove_tree
from app.models import Check, MergeRequest
from app.models.base import utc_now
from app.services.boxed import run_boxed
from app.services.context import Context
from app.services.environment import is_sandboxed
from app.services.scene import request_scene
from app.store import merge_requests


@dataclass(frozen=True)
class Verdict:
    """How a check ended."""

    state: str
    exit_code: int | None
    output_tail: str


def queue_check(ctx: Context, merge_request_id: int) -> None:
    """Have the present combined tree checked, unless that very tree was already."""
    scene = request_scene(ctx, merge_request_id)
    request, clones = scene.request, scene.clones
    row = Check(
        repository_id=request.repository_id,
        merge_request_id=merge_request_id,
        head_sha=request.head_sha,
        base_sha=request.base_sha,
        tree_sha=request.tree_sha,
        command="",
    )
    try:
        row.command = read_config(clones, request.base_sha).check.command
    except AppError as error:
        row.state, row.output_tail = "error", str(error)
    if not row.command and row.state != "error":
        row.state = "none"
    with ctx.db.write() as db:
        newest = merge_requests.latest_check(db, merge_request_id)
        if newest is not None and newest.tree_sha == row.tree_sha and newest.state != "error":
            return
        known = merge_requests.passed_check(db, row.tree_sha, row.command)
        if known is not None:
            row.state, row.exit_code = "passed", known.exit_code
            row.output_tail = known.output_tail
            row.started_at, row.ended_at = known.started_at, known.ended_at
            row.is_sandboxed = known.is_sandboxed
        db.add(row)


def run_check(ctx: Context, check_id: int) -> None:
    """Run one queued check to its verdict; blocking, for as long as its time limit."""
    claimed = _claim(ctx, check_id)
    if claimed is None:
        return
    check, request = claimed
    ctx.publish("reviews", f"review:{request.id}")
    try:
        verdict = _run(ctx, check, request)
    except (AppError, OSError) as error:
        verdict = Verdict("error", None, str(error))
    with ctx.db.write() as db:
        row = db.get(Check, check_id)
        if row is not None:
            row.state, row.exit_code = verdict.state, verdict.exit_code
            row.output_tail, row.ended_at = verdict.output_tail, utc_now()
            db.add(row)
    ctx.publish("reviews", f"review:{request.id}", "fleet", "wake")


def requeue_interrupted(ctx: Context) -> None:
    """On boot: checks that were running when the last server died run again."""
    with ctx.db.write() as db:
        for check in merge_requests.checks_in(db, ("running",)):
            check.state, check.started_at = "queued", None
            db.add(check)


def _claim(ctx: Context, check_id: int) -> tuple[Check, MergeRequest] | None:
    with ctx.db.write() as db:
        check = db.get(Check, check_id)
        if check is None or check.state != "queued":
            return None
        request = merge_requests.get(db, check.merge_request_id or 0)
        if request is None or request.tree_sha != check.tree_sha:
            check.state, check.output_tail = "stale", "Outdated: branch or base moved."
            db.add(check)
            return None
        check.state, check.started_at = "running", utc_now()
        check.is_sandboxed = is_sandboxed(ctx)
        db.add(check)
    return check, request


def _run(ctx: Context, check: Check, request: MergeRequest) -> Verdict:
    clones = request_scene(ctx, request.id or 0).clones
    rule = read_config(clones, check.base_sha).check
    place = ctx.home.checks() / str(check.id)
    tree, home = place / "tree", place / "home"
    remove_tree(place)
    home.mkdir(mode=0o700, parents=True)
    try:
        disposable.materialise(clones, check.tree_sha, tree)
        log = ctx.home.checks() / f"{check.id}.log"
        limit_seconds = rule.timeout_seconds
        ended = run_boxed(
            ctx, check.command, cwd=tree, home=home, log=log, limit_seconds=limit_seconds
        )
    finally:
        remove_tree(place)
    if ended.exit_code is None:
        return Verdict("timeout", None, ended.output_tail)
    state = "passed" if ended.exit_code == 0 else "failed"
    return Verdict(state, ended.exit_code, ended.output_tail)
