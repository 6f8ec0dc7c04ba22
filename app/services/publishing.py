"""Publishing: the base goes to a remote after landings, a request's branch for a pull request.

Asking writes a row; the supervisor's pusher works the rows off. Nothing is ever forced. A remote
that can't be reached is tried again, less and less often, for an hour.
"""

from datetime import datetime, timedelta

from app.errors import AppError, Conflict, GitError, NotFound, PullRefused
from app.git import landing, pushing
from app.git.config import PushRules, read_config
from app.git.names import full_ref
from app.models import MergeRequest, Push, Repository
from app.models.base import utc_now
from app.services.context import Context
from app.services.ledger import record
from app.services.repositories import clones_of
from app.store import merge_requests, pushes, repositories

_FIRST_WAIT, _PATIENCE = timedelta(seconds=15), timedelta(hours=1)


def push_base(ctx: Context, repository_id: int, base: str) -> None:
    """After a landing: have the base pushed where its quarterdeck.toml asks for it; git is read."""
    repository, ref = _repository(ctx, repository_id), full_ref(base)
    sha = landing.human_ref(clones_of(ctx, repository).human, ref)
    if sha is None:
        return
    given = Push(repository_id=repository_id, remote="", ref=ref, sha=sha)
    try:
        rules = _rules(ctx, repository, sha)
    except AppError as error:
        given.state, given.note = "failed", str(error)
    else:
        given.remote = rules.remote
        if not rules.base:
            return
    with ctx.db.write() as db:
        row = pushes.queued_base(db, repository_id, ref) or given
        row.remote, row.sha, row.state, row.note = given.remote, sha, given.state, given.note
        db.add(row)
    _tell(ctx, given)


def open_pull(ctx: Context, merge_request_id: int, remote: str | None = None) -> Push:
    """Have a merge request's branch pushed and a pull request opened for it; NotFound, Conflict.

    Without a remote it goes to the one that the base's quarterdeck.toml names. Asking while it
    is on its way gives the same row; asking again after new commits brings them along.
    """
    with ctx.db.write() as db:
        request = merge_requests.existing(db, merge_request_id)
        if request.state not in merge_requests.OPEN_STATES:
            raise Conflict(f"It is {request.state}; only an open merge request can be offered.")
        known = pushes.newest(db, merge_request_id)
        if known is not None and known.state in ("queued", "running"):
            return known
        row = Push(
            repository_id=request.repository_id,
            merge_request_id=merge_request_id,
            remote=remote or "",
            ref=full_ref(request.branch),
            sha=request.head_sha,
            opens_pull=True,
        )
        db.add(row)
        record(db, "pull", f"merge request {merge_request_id}", sha=request.head_sha)
    _tell(ctx, row)
    return row


def push_waiting(ctx: Context) -> None:
    """Work off what is due; blocking, for as long as the remotes take."""
    with ctx.db.read() as db:
        due = [row.id for row in pushes.waiting(db) if _is_due(row, utc_now())]
    for push_id in due:
        with ctx.db.write() as db:
            row = db.get_one(Push, push_id)
            row.state = "running"
        _publish(ctx, row)


def _is_due(row: Push, now: datetime) -> bool:
    """At once, then after twice the time each; `done_at` is when it was last tried."""
    if row.done_at is None:
        return True
    return now >= row.done_at + max(_FIRST_WAIT, row.done_at - row.created_at)


def _publish(ctx: Context, row: Push) -> None:
    try:
        _push(ctx, row)
        row.note, row.state = "", "done"
    except PullRefused as error:  # what was asked of git is done
        row.note, row.state = str(error), "done"
    except GitError as error:
        is_over = utc_now() - row.created_at > _PATIENCE
        more = "Ask again to try once more." if is_over else "It is tried again by itself."
        row.note, row.state = f"{error}. {more}", "failed" if is_over else "queued"
    except AppError as error:
        row.note, row.state = str(error), "failed"
    row.done_at = utc_now()
    with ctx.db.write() as db:
        db.merge(row)
    _tell(ctx, row)


def _push(ctx: Context, row: Push) -> None:
    repository = _repository(ctx, row.repository_id)
    clones = clones_of(ctx, repository)
    with ctx.db.read() as db:
        request = merge_requests.get(db, row.merge_request_id or 0)
    if not row.remote and request is not None:
        row.remote = _rules(ctx, repository, request.base_sha).remote
    pushing.push(clones, row.remote, row.sha, row.ref)
    if request is None or not row.opens_pull:
        return
    body = f"{request.summary}\n\nMerge request {request.id} of Quarterdeck.".strip()
    pull = pushing.Pull(request.branch, request.base_branch, request.title, body)
    url = pushing.open_pull(clones.human, pull)
    with ctx.db.write() as db:
        db.get_one(MergeRequest, request.id).pull_url = url


def _rules(ctx: Context, repository: Repository, base_sha: str) -> PushRules:
    return read_config(clones_of(ctx, repository), base_sha).push


def _repository(ctx: Context, repository_id: int) -> Repository:
    with ctx.db.read() as db:
        repository = repositories.get(db, repository_id)
    if repository is None:
        raise NotFound("The repository is gone; nothing of it can be pushed.")
    return repository


def _tell(ctx: Context, row: Push) -> None:
    owner = [f"review:{row.merge_request_id}"] if row.merge_request_id is not None else []
    ctx.publish(*owner, "reviews", "wake")
