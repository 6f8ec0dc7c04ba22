"""Returns: what goes back to the author's session, and how a session comes to its end."""

from app.errors import AppError
from app.git import gate, merging
from app.models import Comment, MergeRequest, Session
from app.models.base import utc_now
from app.services.context import Context
from app.services.ledger import record
from app.services.scene import request_scene
from app.services.sessions import say
from app.store import merge_requests


def send_conflict(ctx: Context, request_id: int) -> None:
    """The branch conflicts with its base: the author gets the hunks and merges the base in."""
    scene = request_scene(ctx, request_id)
    request, clones = scene.request, scene.clones
    with ctx.db.write() as db:
        reason = f"Conflicts with {request.base_branch}."
        says = f"{reason[:-1]}; its author is merging it in."
        was = ("open", "approved")
        if not merge_requests.take_back(db, request_id, was, "conflicted", says):
            return
        paths = [conflict["path"] for conflict in request.conflicts]
        record(
            db,
            "send_back",
            f"merge request {request_id}",
            actor="system",
            sha=request.head_sha,
            evidence={"base_sha": request.base_sha, "conflicts": paths},
            detail={"reason": reason},
        )
    base = gate.base_sha(clones, request.base_branch)
    outcome = merging.merge_tree(clones, base, request.head_sha)
    hunks = merging.conflict_hunks(clones, outcome)
    text = (
        f"Your branch conflicts with {request.base_branch}, which moved on. Run "
        f"`git merge --no-edit {request.base_branch}`, resolve the conflicts so that both "
        f"intentions hold, run the tests, and commit.\n\n{hunks}"
    )
    message_id = f"conflict-{request_id}-{base[:12]}-{request.round}"
    try:
        tell_author(ctx, request, text, message_id=message_id)
    except AppError:  # its session is over: nobody merges the base in
        says = f"{reason[:-1]}, and its author's session is over: reject it and write a new task."
        with ctx.db.write() as db:
            merge_requests.change_state(
                db, request_id, ("conflicted",), "conflicted", state_reason=says
            )
    ctx.publish("reviews", f"review:{request_id}", "fleet")


def tell_author(ctx: Context, request: MergeRequest, text: str, *, message_id: str) -> None:
    """Give a verdict to the session that made the branch; AppError where it is over."""
    if request.session_id is None:
        raise AppError("No agent made this merge request, so nobody can be asked to change it.")
    say(ctx, session_id=request.session_id, text=text, origin="review", message_id=message_id)


def verdict_text(request: MergeRequest, body: str, comments: list[Comment]) -> str:
    """The human's remarks as one prompt."""
    lines = [f'The reviewer of "{request.title}" asks for changes.']
    if body.strip():
        lines += ["", body.strip()]
    for comment in comments:
        where = comment.path or "On the whole"
        if comment.path and comment.line is not None:
            old = " (old side)" if comment.side == "old" else ""
            where = f"{comment.path}:{comment.line}{old}"
        lines += ["", f"- {where}: {comment.body.strip()}"]
    lines += ["", "Change the branch accordingly, run the tests, and commit."]
    return "\n".join(lines)


def end_session(session: Session) -> None:
    """Over for good: the runner is stopped where one lives; the worktree may be used again."""
    session.wants_start, session.pending_outcome = False, ""
    session.ends = True
    if session.state in ("starting", "running"):
        session.wants_stop = True
    else:
        session.state, session.ended_at = "ended", utc_now()
