"""Diffs computed once by the supervisor and stored as files; pages only read them."""

from datetime import datetime
from pathlib import Path

import msgspec

from app.git.clones import Clones
from app.git.diffs import FileDiff, diff
from app.git.gate import Commit, commits
from app.models.base import utc_now
from app.services.context import Context
from app.store import merge_requests


class StoredDiff(msgspec.Struct, frozen=True):
    """Everything a page shows of the way from `base_sha` to `head_sha`."""

    base_sha: str
    head_sha: str
    computed_at: datetime
    commits: list[Commit]  # newest first
    files: list[FileDiff]
    tree_sha: str = ""  # where the files are of a tree that no commit holds yet
    is_cut: bool = False  # larger than we show; `git diff` has the rest

    @property
    def additions(self) -> int:
        return sum(file.additions for file in self.files)

    @property
    def deletions(self) -> int:
        return sum(file.deletions for file in self.files)


def compute(clones: Clones, base_sha: str, head_sha: str, tree_sha: str = "") -> StoredDiff:
    """The way from one commit to another (or to `tree_sha`, which has uncommitted work on top).

    It takes seconds on large changes, so never in a page request.
    """
    files = diff(clones, base_sha, tree_sha or head_sha)
    return StoredDiff(
        tree_sha=tree_sha,
        base_sha=base_sha,
        head_sha=head_sha,
        computed_at=utc_now(),
        commits=list(commits(clones, base_sha, head_sha)),
        files=list(files),
        is_cut=any(file.is_cut for file in files),
    )


def stored_diff(ctx: Context, *, merge_request_id: int) -> StoredDiff | None:
    """The diff of a merge request's present head; None where it is not computed yet."""
    with ctx.db.read() as db:
        request = merge_requests.get(db, merge_request_id)
    if request is None:
        return None
    return _load(request_path(ctx, merge_request_id, request.head_sha))


def session_diff(ctx: Context, *, session_id: str) -> StoredDiff | None:
    """What a session's worktree holds so far, uncommitted work included."""
    return _load(session_path(ctx, session_id))


def request_path(ctx: Context, merge_request_id: int, head_sha: str) -> Path:
    return ctx.home.path / "diffs" / f"{merge_request_id}-{head_sha[:16]}.json"


def session_path(ctx: Context, session_id: str) -> Path:
    return ctx.home.session(session_id) / "diff.json"


def store(path: Path, diff: StoredDiff) -> None:
    """Replace the file as a whole, so that a reader never sees half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(diff))
    draft.replace(path)


def _load(path: Path) -> StoredDiff | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=StoredDiff)
    except FileNotFoundError:
        return None
