"""Offers: a branch becomes a merge request, or a new round of the one it has."""

from sqlmodel import Session as Orm

from app.errors import GitError
from app.git import gate
from app.git.cloning import sync
from app.git.leftovers import commit_leftovers
from app.git.repositories import Identity
from app.git.snapshots import snapshot
from app.models import MergeRequest, Task
from app.models.base import utc_now
from app.services import deciding, preflight
from app.services.context import Context
from app.services.environment import email_of
from app.services.ledger import record
from app.services.scene import SessionScene, session_scene, worktree_of
from app.store import merge_requests, tasks


def offer(ctx: Context, *, session_id: str) -> int | None:
    """The id of the merge request that now holds the session's work; None where it has none.

    Uncommitted work is committed for the agent first: nothing is dropped.
    """
    with ctx.db.read() as db:
        scene = session_scene(ctx, db, session_id)
    session, task, agent, clones = scene.session, scene.task, scene.agent, scene.clones
    note = _keep_leftovers(scene)
    head = gate.fetch_branch(clones, agent.name, session.branch)
    base = sync(clones).get(task.base_branch) or gate.base_sha(clones, task.base_branch)
    if gate.is_ancestor(clones, head, base):
        _withdraw(ctx, task.id or 0, head)
        return None
    with ctx.db.write() as db:
        request = _renewed(db, task, head) or _new(scene, head)
        request.summary = session.summary or request.summary
        request.state_reason = note or request.state_reason
        request.base_sha, request.updated_at = base, utc_now()
        db.add(request)
        db.flush()
        request_id = request.id or 0
    preflight.preflight(ctx, request_id)
    with ctx.db.write() as db:
        _to_review(db, task.id or 0)
    return request_id


def _keep_leftovers(scene: SessionScene) -> str:
    """Commit what is uncommitted; where the agent left its branch, snapshot it and say so."""
    agent, clones, worktree = scene.agent.name, scene.clones, worktree_of(scene)
    message = f"{scene.task.title}\n\nLeft uncommitted by {agent} at the end of its turn."
    author = Identity(agent, email_of(agent))
    try:
        commit_leftovers(clones, worktree, message, author, utc_now())
    except GitError as error:
        kept = snapshot(clones, worktree, "left-its-branch")
        return f"{error} They are in {kept.ref}." if kept else ""
    return ""


def _renewed(db: Orm, task: Task, head: str) -> MergeRequest | None:
    """The task's open request, at its new head. New commits void an approval."""
    request = merge_requests.of_task(db, task.id or 0)
    if request is None or request.state not in merge_requests.MOVABLE_STATES:
        return None
    if request.head_sha != head:
        request.head_sha, request.round = head, request.round + 1
        deciding.void_approval(request)
        request.state, request.state_reason = "open", ""
    elif request.state in ("conflicted", "changes_requested"):
        request.state_reason = "Its author answered without changing the branch."
    return request


def _withdraw(ctx: Context, task_id: int, head: str) -> None:
    """The branch was moved back to what the base has: there is nothing to merge any more."""
    with ctx.db.write() as db:
        request = merge_requests.of_task(db, task_id)
        movable = merge_requests.MOVABLE_STATES
        if request is None or request.state not in movable or request.head_sha == head:
            return
        reason = "Its author took all of its commits back."
        merge_requests.take_back(db, request.id or 0, movable, "withdrawn", reason)
        subject = f"merge request {request.id}"
        record(db, "withdraw", subject, actor="system", sha=head, detail={"reason": reason})
        deciding.strand(db, request)
    ctx.publish("reviews", f"review:{request.id}", "fleet")


def _new(scene: SessionScene, head: str) -> MergeRequest:
    session, task = scene.session, scene.task
    fork = gate.merge_base(scene.clones, session.base_sha, head) or session.base_sha
    return MergeRequest(
        repository_id=scene.repository.id or 0,
        task_id=task.id,
        agent_id=scene.agent.id,
        session_id=session.id,
        title=task.title,
        branch=session.branch,
        base_branch=task.base_branch,
        head_sha=head,
        base_sha="",
        merge_base_sha=fork,
    )


def _to_review(db: Orm, task_id: int) -> None:
    task = tasks.get(db, task_id)
    if task is not None and task.state in ("running", "queued", "failed"):
        task.state, task.state_reason = "review", ""
        db.add(task)
