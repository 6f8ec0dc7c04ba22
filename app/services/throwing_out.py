"""Throwing out: a request that breaks the train leaves it, and its author hears why."""

from app.errors import AppError
from app.git.merging import tree_of
from app.models import Batch, Check, Repository
from app.services import landing, returns
from app.services.boarding import last_words
from app.services.checks import want
from app.services.context import Context
from app.services.ledger import record
from app.services.refreshing import hold
from app.services.repositories import clones_of
from app.store import batches, merge_requests

TAIL_CHARACTERS = 6_000  # of the check's output, for the author


def check_base(ctx: Context, train: Batch) -> Check:
    """The check of the base alone, asked for in the train's name."""
    with ctx.db.read() as db:
        known = batches.check_at(db, train.id or 0, train.base_sha)
        repository = db.get_one(Repository, train.repository_id)
    return known or want(
        ctx,
        repository_id=train.repository_id,
        base_sha=train.base_sha,
        tree_sha=tree_of(clones_of(ctx, repository), train.base_sha),
        head_sha=train.base_sha,
        batch_id=train.id,
    )


def throw_out(ctx: Context, batch_id: int) -> None:
    """The first step that does not pass goes back to the human; those before it land.

    Its author is told first, under an id of its own: told once, however often this is repeated.
    """
    with ctx.db.read() as db:
        train = batches.get(db, batch_id)
    if train is None or train.bad is None or train.state != "checking" or train.culprit_id:
        return
    step = train.steps[train.bad - 1]
    number = step["merge_request_id"]
    ahead = [f"#{each['merge_request_id']}" for each in train.steps[: train.bad - 1]]
    on = f"{train.base_branch} with {', '.join(ahead)}" if ahead else train.base_branch
    reason = f"Thrown out of the merge queue: on {on} its check does not pass."
    with ctx.db.read() as db:
        check = batches.check_of(db, batch_id, step["tree_sha"])
    _tell(ctx, train, number, reason, check)
    with ctx.db.write() as db:
        if not batches.change_state(
            db, batch_id, ("checking",), "checking", culprit_id=number, state_reason=reason
        ):
            return
        if merge_requests.take_back(db, number, ("approved",), "open", reason):
            record(
                db,
                "throw_out",
                f"merge request {number}",
                actor="system",
                sha=step["head_sha"],
                tree_sha=step["tree_sha"],
                evidence=landing.evidence(train, check),
                detail={"reason": reason},
            )
    ctx.publish("reviews", f"review:{number}", "fleet", "inbox")


def give_back(ctx: Context, train: Batch, check: Check) -> None:
    """The check could not be run, or was cancelled: all members go back to the human."""
    problem = f"Its train's check could not be run: {last_words(check)}"
    for each in train.steps:
        hold(ctx, each["merge_request_id"], problem)
    landing.end_train(ctx, train.id or 0, "failed", problem)


def _tell(ctx: Context, train: Batch, number: int, reason: str, check: Check | None) -> None:
    with ctx.db.read() as db:
        request = merge_requests.get(db, number)
    if request is None or request.session_id is None:
        return
    said = check.output_tail[-TAIL_CHARACTERS:] if check else ""
    command = check.command if check else ""
    text = (
        f"{reason} Merge {train.base_branch} into your branch once the others have landed, find "
        f"out why `{command}` fails, mend it and commit. The end of its output:\n\n{said}"
    )
    try:
        returns.tell_author(ctx, request, text, message_id=f"queue-{train.id}-{number}")
    except AppError:
        return  # its session is over: the human reads the reason on the request
