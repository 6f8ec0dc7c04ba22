"""Rounds: each state of a merge request's branch, what asked for it, and what it changed since the
human last looked."""

from sqlmodel import Session as Orm

from app.git import gate
from app.git.clones import Clones
from app.git.diffs import FileDiff
from app.git.interdiff import since
from app.models import Decision, MergeRequest, Round, SeenFile
from app.models.base import utc_now
from app.services import diffs, seen
from app.services.context import Context
from app.store import decisions
from app.store import rounds as store
from app.store import seen as looks

_KNOWN = ("shown", "ticked")


def of(db: Orm, merge_request_id: int) -> list[Round]:
    """The first one first."""
    return store.of_request(db, merge_request_id)


def settle(ctx: Context, clones: Clones, request: MergeRequest, stored: diffs.StoredDiff) -> None:
    """Note the round that the request is in, and what it changed since the last look.

    What its author did not touch since is seen still, though a new base changed it underneath.
    """
    _note(ctx, clones, request, stored)
    with ctx.db.read() as db:
        states = seen.state(db, request, stored.files)
        look = _last_look(looks.earlier_looks(db, request.id or 0, request.head_sha), states)
    if look is None:
        return
    path = diffs.since_path(ctx, request.id or 0, request.head_sha)
    known = diffs.load(path)
    if known and (known.since_sha, known.base_sha) == (look.head_sha, stored.base_sha):
        return
    found = since(clones, look.merge_base_sha, look.head_sha, stored.base_sha, request.head_sha)
    diffs.store(
        path,
        diffs.StoredDiff(
            base_sha=stored.base_sha,
            head_sha=request.head_sha,
            computed_at=utc_now(),
            commits=list(gate.commits(clones, look.head_sha, request.head_sha)),
            files=[file for file in found.files if states.get(file.path) not in _KNOWN],
            is_cut=any(file.is_cut for file in found.files),
            since_sha=look.head_sha,
            unmerged=found.unmerged,
        ),
    )
    touched = {name for file in found.files for name in (file.path, file.old_path)}
    _carry(ctx, request, look, [file for file in stored.files if file.path not in touched])


def _last_look(earlier: list[SeenFile], states: dict[str, seen.State]) -> SeenFile | None:
    """The look to compare with: of the files that are news, the one looked at longest ago.

    So nothing is left out where some files were looked at in one round, some in another.
    """
    newest = {row.path: row for row in earlier}
    news = [row for path, row in newest.items() if states.get(path) == "changed"]
    if news:
        return min(news, key=lambda row: row.seen_at)
    return earlier[-1] if earlier else None


def _note(ctx: Context, clones: Clones, request: MergeRequest, stored: diffs.StoredDiff) -> None:
    with ctx.db.read() as db:
        before = [r for r in of(db, request.id or 0) if r.number <= request.round]
    if before and before[-1].number == request.round:
        return
    is_rewritten = bool(before) and not gate.is_ancestor(
        clones, before[-1].head_sha, request.head_sha
    )
    with ctx.db.write() as db:
        call = _call(db, request, before[-1]) if before else None
        db.merge(
            Round(
                merge_request_id=request.id or 0,
                number=request.round,
                head_sha=request.head_sha,
                merge_base_sha=stored.base_sha,
                is_rewritten=is_rewritten,
                why=_why(call),
            )
        )


def _call(db: Orm, request: MergeRequest, before: Round) -> Decision | None:
    """The verdict that the author answers with a new round."""
    subject = f"merge request {request.id}"
    return decisions.newest(db, subject, *store.CALLS, since=before.created_at)


def _why(call: Decision | None) -> str:
    if call is None:
        return ""
    said = str(call.detail.get("body") or call.detail.get("reason") or "").strip()
    comments = len(call.detail.get("comments", ()))
    on_lines = f"{comments} comment{'s' if comments > 1 else ''}" if comments else ""
    return " · ".join(part for part in (said, on_lines) if part)


def _carry(ctx: Context, request: MergeRequest, look: SeenFile, files: list[FileDiff]) -> None:
    """The look at what the author left alone counts for what that is on the new base."""
    listed = diffs.changed_files(ctx, request.id or 0, look.head_sha)
    if listed is None:
        return
    of_look = (look.head_sha, look.merge_base_sha)
    with ctx.db.write() as db:
        before = seen.state(db, request, listed.files)
        now = seen.state(db, request, files)
        for ticked, was in ((False, "shown"), (True, "ticked")):
            same = [f for f in files if now[f.path] == "changed" and before.get(f.path) == was]
            seen.keep(db, request, *of_look, same, ticked=ticked, seen_at=look.seen_at)
