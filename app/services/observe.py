"""The live diff: what running agents have changed so far, uncommitted work included.

Their worktrees are looked at through our own index, so nothing of theirs is touched or run.
"""

import msgspec

from app.errors import AppError
from app.git import gate
from app.git.leftovers import tree_so_far
from app.git.snapshots import merge_head
from app.services import diffs
from app.services.context import Context
from app.services.scene import session_scene, worktree_of
from app.store import sessions


class Work(msgspec.Struct, frozen=True):
    """What a live session's worktree held when last looked at."""

    head_sha: str
    tree_sha: str  # with everything uncommitted
    merges_sha: str = ""  # what it is merging in: not its own work


_seen: dict[str, int] = {}  # session id to the record after which it was last looked at
_works: dict[str, Work] = {}


def works() -> dict[str, Work]:
    """The live sessions' work as last looked at, by session id; gate.git holds it."""
    return dict(_works)


def observe_sessions(ctx: Context) -> None:
    """Renew the stored diff of each live session whose tools did something since the last look."""
    with ctx.db.read() as db:
        live = [session for session in sessions.live(db) if session.worktree]
    for session in live:
        if _seen.get(session.id, 0) != session.touched_seq:
            _seen[session.id] = session.touched_seq
            _observe(ctx, session.id)
    for gone in _seen.keys() - {session.id for session in live}:
        del _seen[gone]
        _works.pop(gone, None)


def _observe(ctx: Context, session_id: str) -> None:
    with ctx.db.read() as db:
        scene = session_scene(ctx, db, session_id)
    clones, base = scene.clones, scene.session.base_sha
    try:
        tree = tree_so_far(clones, worktree_of(scene))
        head = gate.fetch_branch(clones, scene.agent.name, scene.session.branch)
        _works[session_id] = Work(head, tree, merge_head(clones, scene.agent.name))
        before = diffs.session_diff(ctx, session_id=session_id)
        if before is not None and (before.tree_sha, before.head_sha) == (tree, head):
            return
        stored = diffs.compute(clones, base, head, tree)
    except AppError:
        return  # the worktree is being changed under us, or gone: the next look tells
    diffs.store(diffs.session_path(ctx, session_id), stored)
    ctx.publish(f"session:{session_id}")
