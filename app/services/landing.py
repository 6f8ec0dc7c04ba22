"""Landing: a train's checked steps become the new base. Intent, swap, done.

The commits' ids are fixed before the base moves, so after a crash ancestry tells whether it did.
"""

from pathlib import Path
from typing import Any

from sqlmodel import Session as Orm

from app.errors import AppError, BaseMoved
from app.git import landing as git_landing
from app.git.cloning import recover, sync
from app.git.names import full_ref
from app.git.repositories import require_there
from app.models import Batch, Check, Landing, Repository, Session, Task
from app.models.base import utc_now
from app.services import publishing, returns
from app.services.boarding import PASSING, is_riding
from app.services.context import Context
from app.services.ledger import record
from app.services.repositories import clones_of
from app.store import batches, merge_requests, repositories, sessions


def land(ctx: Context, batch_id: int) -> None:
    """Land the first `good` steps of a train. May be repeated, also after a crash at any point.

    Where git can't do it now (another git holds the base) the intent stands, with the reason.
    """
    if not _intend(ctx, batch_id):
        return
    with ctx.db.read() as db:
        train = batches.get(db, batch_id)
        repository = repositories.get(db, train.repository_id) if train else None
    if train is None or repository is None or train.state != "landing":
        return
    clones = clones_of(ctx, repository)
    head = train.steps[train.good - 1]["commit_sha"]
    ref = full_ref(train.base_branch)
    try:
        require_there(clones.human)
        if not git_landing.landed(clones.human, ref, head):
            git_landing.land(clones, ref, head, train.base_sha)
        why_not = ""
    except BaseMoved as error:
        why_not = str(error)
    except AppError as error:
        _say(ctx, train, str(error))
        return
    _settle(ctx, repository, train, why_not)


def end_train(ctx: Context, batch_id: int, state: str, reason: str) -> None:
    """The train ends without moving the base; its members stay what they are."""
    with ctx.db.write() as db:
        ended = batches.change_state(
            db, batch_id, ("checking",), state, state_reason=reason, ended_at=utc_now()
        )
    if ended:
        ctx.publish("reviews", "fleet", "wake")


def recover_landings(ctx: Context) -> None:
    """On boot: finish or void every intent that a crash left behind; running it twice is safe."""
    with ctx.db.read() as db:
        served = {repository.id: repository for repository in repositories.every(db)}
        landing_trains = [train for train in batches.open_trains(db) if train.state == "landing"]
        alone = [i for i in merge_requests.landings_in(db, ("intended",)) if i.batch_id is None]
    for repository in served.values():
        recover(clones_of(ctx, repository))
    for train in landing_trains:
        repository = served[train.repository_id]
        if Path(repository.path).is_dir():
            _settle(ctx, repository, train, "The server ended before the base moved.")
    for intent in alone:  # written by a version that knew no trains
        with ctx.db.read() as db:
            request = merge_requests.get(db, intent.merge_request_id)
        if request is not None and Path(served[request.repository_id].path).is_dir():
            _close(ctx, served[request.repository_id], [intent])
            _meet(ctx, served[request.repository_id], intent.base_branch)


def evidence(train: Batch, check: Check | None) -> dict[str, Any]:
    """What the ledger keeps of why a train's step landed or was thrown out."""
    known = {"check_id": check.id, "check": check.state} if check else {"check": "forced"}
    return {**known, "batch_id": train.id, "base_sha": train.base_sha}


def _intend(ctx: Context, batch_id: int) -> bool:
    """Write down what will happen; False where the train may not land, which then has ended."""
    problem = ""
    with ctx.db.write() as db:
        train = batches.get(db, batch_id)
        if train is None or train.state not in ("checking", "landing"):
            return False
        if train.state == "landing":
            return True
        steps = train.steps[: train.good]
        if not steps:
            problem = train.state_reason
        elif not all(is_riding(db, each) for each in steps):
            problem = "A member is no longer approved as it was."
        elif not _may_land(db, train):
            problem = "Its check has not passed."
        else:
            old = train.base_sha
            for each in steps:
                db.add(_intent(train, each, old))
                merge_requests.change_state(
                    db, each["merge_request_id"], ("approved",), "landing", state_reason=""
                )
                old = each["commit_sha"]
            batches.change_state(db, batch_id, ("checking",), "landing")
            return True
    end_train(ctx, batch_id, "failed" if not steps else "void", problem)
    return False


def _intent(train: Batch, step: dict[str, Any], old: str) -> Landing:
    return Landing(
        merge_request_id=step["merge_request_id"],
        batch_id=train.id,
        base_branch=train.base_branch,
        old_sha=old,
        new_sha=step["commit_sha"],
    )


def _may_land(db: Orm, train: Batch) -> bool:
    """The very tree that would be the base has passed, or the human forces this one alone."""
    last = train.steps[train.good - 1]
    check = batches.check_of(db, train.id or 0, last["tree_sha"])
    if check is not None:
        return check.state in PASSING
    request = merge_requests.get(db, last["merge_request_id"])
    return train.good == 1 and request is not None and request.is_forced


def _settle(ctx: Context, repository: Repository, train: Batch, why_not: str) -> None:
    """Ancestry tells which members landed."""
    with ctx.db.read() as db:
        intents = batches.landings(db, train.id or 0)
    _close(ctx, repository, [intent for intent in intents if intent.state == "intended"])
    with ctx.db.read() as db:
        has_landed = any(each.state == "done" for each in batches.landings(db, train.id or 0))
    if has_landed:
        _meet(ctx, repository, train.base_branch)
    with ctx.db.write() as db:
        batches.change_state(
            db,
            train.id or 0,
            ("landing",),
            "landed" if has_landed else "void",
            state_reason=train.state_reason if has_landed else why_not,
            ended_at=utc_now(),
        )
    ctx.publish("reviews", "tasks", "fleet", "wake")


def _close(ctx: Context, repository: Repository, intents: list[Landing]) -> None:
    """Bring intents to their end, each by whether the base holds its commit."""
    if not intents:
        return
    human, ref = clones_of(ctx, repository).human, full_ref(intents[0].base_branch)
    landed = [i.id for i in intents if git_landing.landed(human, ref, i.new_sha)]
    note = _follow(human, ref, [i for i in intents if i.id in landed])
    with ctx.db.write() as db:
        for intent in intents:
            row = db.get_one(Landing, intent.id)
            if row.state != "intended":
                continue  # another thread was quicker
            db.add(row)
            if row.id in landed:
                row.state, row.done_at, row.note = "done", utc_now(), note
                _merged(db, row)
            else:
                row.state = "void"
                merge_requests.change_state(
                    db, row.merge_request_id, ("landing",), "approved", state_reason=""
                )
    ctx.publish("reviews", *(f"review:{intent.merge_request_id}" for intent in intents))


def _follow(human: Path, ref: str, landed: list[Landing]) -> str:
    """Clean checkouts of the base come along; the note says of one that does not."""
    if not landed:
        return ""
    try:
        followed = git_landing.follow_checkout(human, ref, landed[0].old_sha, landed[-1].new_sha)
    except AppError as error:
        return f"The checkout was not moved: {error}"
    if not isinstance(followed, git_landing.DirtyCheckout):
        return ""
    return f"{followed.path} was not moved: {followed.why}. To follow: {followed.command}"


def _merged(db: Orm, landing: Landing) -> None:
    """The request is merged, its task done, its sessions are over; the ledger says on what."""
    number = landing.merge_request_id
    merge_requests.change_state(db, number, ("landing",), "merged")
    train = batches.get(db, landing.batch_id) if landing.batch_id is not None else None
    steps = {each["commit_sha"]: each for each in train.steps} if train else {}
    step = steps.get(landing.new_sha, {})
    checked = batches.check_of(db, train.id or 0, _last_tree(train)) if train else None
    record(
        db,
        "land",
        f"merge request {number}",
        actor="system",
        sha=landing.new_sha,
        tree_sha=step.get("tree_sha", ""),
        evidence=evidence(train, checked) if train else {},
        detail={"note": step["note"]} if step.get("note") else {},
    )
    request = merge_requests.get(db, number)
    if request is not None and request.task_id is not None:
        _finish(db.get(Task, request.task_id), sessions.of_task(db, request.task_id))


def _last_tree(train: Batch) -> str:
    return str(train.steps[train.good - 1]["tree_sha"])


def _finish(task: Task | None, of_task: list[Session]) -> None:
    if task is not None:
        task.state, task.state_reason, task.ended_at = "done", "", utc_now()
    for session in of_task:
        returns.end_session(session)


def _meet(ctx: Context, repository: Repository, base_branch: str) -> None:
    """Our clones and the remote meet the base that moved; `refreshing` sees to what is open."""
    try:
        base = sync(clones_of(ctx, repository)).get(base_branch)
    except AppError:
        return  # the next train meets the trouble, and says so
    if base is not None:
        publishing.push_base(ctx, repository.id or 0, base_branch)


def _say(ctx: Context, train: Batch, problem: str) -> None:
    if problem == train.state_reason:
        return
    with ctx.db.write() as db:
        batches.change_state(db, train.id or 0, ("landing",), "landing", state_reason=problem)
    ctx.publish("reviews")
