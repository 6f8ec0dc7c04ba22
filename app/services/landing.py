"""Landing: an approved, checked merge request becomes the new base. Intent, swap, done.

The commit's id is fixed before the base moves, so after a crash ancestry tells whether it did.
"""

from app.errors import AppError, BaseMoved, BranchVanished, MergeConflict, NothingToMerge
from app.git import landing as git_landing
from app.git import merging
from app.git.cloning import recover, sync
from app.git.config import read_config
from app.git.names import full_ref
from app.git.repositories import inspect
from app.models import Landing, MergeRequest, Session, Task
from app.models.base import utc_now
from app.services import preflight, returns
from app.services.context import Context
from app.services.ledger import record
from app.services.repositories import clones_of
from app.services.scene import RequestScene, request_scene
from app.store import merge_requests, repositories, sessions


def land_approved(ctx: Context) -> int:
    """Land what is approved and passes its check, oldest first; returns how many landed."""
    with ctx.db.read() as db:
        approved = [r for r in merge_requests.open_ones(db) if r.state == "approved"]
    landed = 0
    for request in approved:
        try:
            landed += _land(ctx, request.id or 0)
        except AppError as error:
            _hold(ctx, request.id or 0, str(error))
    return landed


def recover_landings(ctx: Context) -> None:
    """On boot: finish or void every intent that a crash left behind; running it twice is safe."""
    with ctx.db.read() as db:
        intents = merge_requests.landings_in(db, ("intended",))
        served = repositories.every(db)
    for repository in served:
        recover(clones_of(ctx, repository))
    for intent in intents:
        scene = request_scene(ctx, intent.merge_request_id)
        ref = full_ref(intent.base_branch)
        if git_landing.landed(scene.clones.human, ref, intent.new_sha):
            _done(ctx, scene, intent)
        else:
            _void(ctx, intent, back_to="approved")
    with ctx.db.write() as db:  # crashed between the state change and the intent row
        for request in merge_requests.open_ones(db):
            if (
                request.state == "landing"
                and merge_requests.landing_of(db, request.id or 0) is None
            ):
                merge_requests.change_state(db, request.id or 0, ("landing",), "approved")


def _land(ctx: Context, request_id: int) -> bool:
    scene = request_scene(ctx, request_id)
    base = sync(scene.clones).get(scene.request.base_branch)
    if base is None:
        raise BranchVanished(scene.request.base_branch)
    if base != scene.request.base_sha:
        preflight.preflight(ctx, request_id)
        scene = request_scene(ctx, request_id)
    request = scene.request
    if request.conflicts or not _may_land(ctx, request):
        return False
    intent = _intend(ctx, scene)
    if intent is None:
        return False
    try:
        git_landing.land(
            scene.clones, full_ref(request.base_branch), intent.new_sha, intent.old_sha
        )
    except BaseMoved:
        _void(ctx, intent, back_to="approved")
        return False
    except AppError as error:
        _void(ctx, intent, back_to="open")
        _hold(ctx, request_id, str(error))
        return False
    _done(ctx, scene, intent)
    return True


def _may_land(ctx: Context, request: MergeRequest) -> bool:
    """The very tree that would land has passed, or the human said it may land without."""
    with ctx.db.read() as db:
        check = merge_requests.latest_check(db, request.id or 0)
    if request.is_forced:
        return True
    if check is None or check.tree_sha != request.tree_sha or check.state in ("queued", "running"):
        return False
    if check.state in ("passed", "none"):
        return True
    _hold(ctx, request.id or 0, "Its check does not pass on the combined tree.")
    return False


def _intend(ctx: Context, scene: RequestScene) -> Landing | None:
    """Fix the commit and write down what will happen; None where it is no longer approved."""
    request = scene.request
    try:
        new_sha = _commit(scene)
    except (MergeConflict, NothingToMerge) as error:
        _hold(ctx, request.id or 0, str(error))
        return None
    intent = Landing(
        merge_request_id=request.id or 0,
        base_branch=request.base_branch,
        old_sha=request.base_sha,
        new_sha=new_sha,
    )
    with ctx.db.write() as db:
        current = merge_requests.get(db, request.id or 0)
        if current is None or current.approved_sha != request.head_sha:
            return None
        if not merge_requests.change_state(db, request.id or 0, ("approved",), "landing"):
            return None
        db.add(intent)
    return intent


def _commit(scene: RequestScene) -> str:
    request = scene.request
    rules = read_config(scene.clones, request.base_sha)
    return merging.merge_commit(
        scene.clones,
        request.base_sha,
        request.head_sha,
        f"Merge #{request.id}: {request.title}\n\n{request.summary}".strip(),
        inspect(scene.clones.human, request.base_branch).identity,
        request.decided_at or utc_now(),
        strategy=rules.merge,
    )


def _done(ctx: Context, scene: RequestScene, intent: Landing) -> None:
    request, human = scene.request, scene.clones.human
    ref = full_ref(intent.base_branch)
    followed = git_landing.follow_checkout(human, ref, intent.old_sha, intent.new_sha)
    note = ""
    if isinstance(followed, git_landing.DirtyCheckout):
        note = f"{followed.path} was not moved: {followed.why}. To follow: {followed.command}"
    with ctx.db.write() as db:
        row = db.get(Landing, intent.id)
        if row is None or row.state == "done":
            return
        row.state, row.done_at, row.note = "done", utc_now(), note
        db.add(row)
        merge_requests.change_state(db, request.id or 0, ("landing",), "merged")
        record(db, "land", f"merge request {request.id}", actor="system", sha=intent.new_sha)
        if request.task_id is not None:
            _finish(db.get(Task, request.task_id), sessions.of_task(db, request.task_id))
    sync(scene.clones)
    ctx.publish("reviews", f"review:{request.id}", "tasks", "fleet", "wake")
    preflight.refresh_after_move(ctx, request.repository_id, intent.base_branch)


def _finish(task: Task | None, of_task: list[Session]) -> None:
    if task is not None:
        task.state, task.state_reason, task.ended_at = "done", "", utc_now()
    for session in of_task:
        returns.end_session(session)


def _void(ctx: Context, intent: Landing, *, back_to: str) -> None:
    with ctx.db.write() as db:
        row = db.get(Landing, intent.id)
        if row is not None and row.state == "intended":
            row.state = "void"
            db.add(row)
        merge_requests.change_state(db, intent.merge_request_id, ("landing",), back_to)


def _hold(ctx: Context, request_id: int, reason: str) -> None:
    """Back to the human, with the reason."""
    with ctx.db.write() as db:
        merge_requests.change_state(
            db, request_id, ("approved",), "open", state_reason=reason, approved_sha=""
        )
    ctx.publish("reviews", f"review:{request_id}", "fleet")
