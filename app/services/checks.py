"""Checks: asking for the repository's own command to be run on a tree. One answer per tree.

Whoever asks gets a row of their own; the command runs once for all who ask for the same tree.
`check_runs` runs what is asked for here.
"""

from collections.abc import Sequence

from sqlmodel import Session as Orm

from app.errors import AppError, Conflict, NotFound
from app.git.config import read_config
from app.models import Check
from app.models.base import utc_now
from app.services.context import Context
from app.services.ledger import record
from app.services.repositories import clones_of
from app.services.scene import request_scene
from app.store import checks as store
from app.store import repositories

RETRIED = ("error", "stale")  # asked for again, these run again
_OWNED = (
    *("repository_id", "merge_request_id", "batch_id"),
    *("head_sha", "base_sha", "tree_sha", "command"),
)


def want(
    ctx: Context,
    *,
    repository_id: int,
    base_sha: str,
    tree_sha: str,
    head_sha: str,
    merge_request_id: int | None = None,
    batch_id: int | None = None,
) -> Check:
    """The owner's check of this tree by the command that the base commit names; git is read.

    Asking again gives the same row. Its state is queued until the command has run, "none" where
    the base names no command, "error" where its quarterdeck.toml can't be read.
    """
    row = Check(
        repository_id=repository_id,
        merge_request_id=merge_request_id,
        batch_id=batch_id,
        head_sha=head_sha,
        base_sha=base_sha,
        tree_sha=tree_sha,
        command="",
    )
    _set_command(ctx, row)
    with ctx.db.write() as db:
        known = store.newest_of(
            db,
            tree_sha=tree_sha,
            command=row.command,
            merge_request_id=merge_request_id,
            batch_id=batch_id,
        )
        if known is not None and (known.state == row.state or known.state not in RETRIED):
            return known
        if row.state == "queued":
            _share(row, store.runs(db, tree_sha, row.command))
        db.add(row)
    tell(ctx, row)
    return row


def queue_check(ctx: Context, merge_request_id: int) -> None:
    """Have the present combined tree checked, unless that very tree was already."""
    request = request_scene(ctx, merge_request_id).request
    want(
        ctx,
        repository_id=request.repository_id,
        base_sha=request.base_sha,
        tree_sha=request.tree_sha,
        head_sha=request.head_sha,
        merge_request_id=merge_request_id,
    )


def rerun(ctx: Context, check_id: int) -> Check:
    """Run a tree's check once more, at the human's wish; Conflict where nobody needs the answer."""
    with ctx.db.write() as db:
        check = store.existing(db, check_id)
        of_tree = store.runs(db, check.tree_sha, check.command)
        if not check.command:
            raise Conflict("The base's quarterdeck.toml names no check command: add one there.")
        if any(run.state in store.IN_FLIGHT for run in of_tree):
            raise Conflict("It is already running; wait for its answer.")
        if not store.is_needed(db, check):
            raise Conflict("It is outdated: branch or base moved on. Look at the newest check.")
        row = again(check, of_tree)
        db.add(row)
        db.flush()
        record(db, "rerun", f"check {row.id}", sha=row.head_sha, detail={"run": row.run})
    tell(ctx, row)
    return row


def cancel(ctx: Context, check_id: int) -> Check:
    """Stop a check that waits or runs; its whole group of processes is killed in a moment."""
    with ctx.db.write() as db:
        check = store.existing(db, check_id)
        if not drop(db, check, "Cancelled by you; run it again when you like."):
            raise Conflict("It has ended already.")
        record(db, "cancel", f"check {check_id}", sha=check.head_sha)
    tell(ctx, check)
    return check


def again(check: Check, of_tree: Sequence[Check]) -> Check:
    """A further run of the same tree for the same owner."""
    kept = check.model_dump(include={*_OWNED})
    return Check(**kept, run=max((run.run for run in of_tree), default=0) + 1)


def drop(db: Orm, check: Check, why: str) -> bool:
    """Nobody shall wait for it any more; False where it has ended."""
    more = {"output_tail": why, "ended_at": utc_now()}
    dropped = store.change_state(db, check.id or 0, store.IN_FLIGHT, "stale", **more)
    if dropped:
        for copy in store.copies(db, check.id or 0):
            store.change_state(db, copy.id or 0, ("queued",), "stale", **more)
        db.refresh(check)
    return dropped


def copy_answer(run: Check, row: Check) -> None:
    """Give a copy the result of the run that it shares."""
    row.state, row.exit_code, row.output_tail = run.state, run.exit_code, run.output_tail
    row.started_at, row.ended_at, row.is_sandboxed = run.started_at, run.ended_at, run.is_sandboxed


def tell(ctx: Context, *checks: Check) -> None:
    """Say that checks changed."""
    owners = {f"review:{check.merge_request_id}" for check in checks if check.merge_request_id}
    ctx.publish(*(f"check:{check.id}" for check in checks), *owners, "reviews", "fleet", "wake")


def _share(row: Check, of_tree: Sequence[Check]) -> None:
    """Take the answer of the tree's newest run, or wait for it with its owner."""
    if not of_tree:
        return
    newest = of_tree[-1]
    if newest.state == "timeout":  # the machine's fault, perhaps: others run it themselves
        row.run = newest.run + 1
        return
    row.same_as_id, row.run = newest.id, newest.run
    if newest.state in store.ANSWERS:
        copy_answer(newest, row)


def _set_command(ctx: Context, row: Check) -> None:
    with ctx.db.read() as db:
        repository = repositories.get(db, row.repository_id)
    if repository is None:
        raise NotFound("The repository is gone; nothing can be checked in it.")
    try:
        row.command = read_config(clones_of(ctx, repository), row.base_sha).check.command
    except AppError as error:
        row.state, row.output_tail = "error", str(error)
    else:
        row.state = "queued" if row.command else "none"
    if row.state != "queued":
        row.ended_at = utc_now()
