"""Diffs computed once by the supervisor and stored as files; pages only read them."""

import re
import threading
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from app.git.clones import Clones
from app.git.diffs import FileDiff, diff
from app.git.gate import Commit, commits
from app.models import MergeRequest
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
    since_sha: str = ""  # of an interdiff: the head that the human looked at last
    unmerged: tuple[str, ...] = ()  # of an interdiff: compared as they were, the base's changes too

    @property
    def additions(self) -> int:
        return sum(file.additions for file in self.files)

    @property
    def deletions(self) -> int:
        return sum(file.deletions for file in self.files)


class ChangedFile(msgspec.Struct, frozen=True):
    """One file of a stored diff without its lines."""

    path: str
    additions: int
    deletions: int
    old_blob: str = ""
    new_blob: str = ""


class ChangedFiles(msgspec.Struct, frozen=True):
    """A stored diff without its lines."""

    base_sha: str
    head_sha: str
    files: tuple[ChangedFile, ...]


class Wanted(NamedTuple):
    """A diff that somebody asked for though its file is gone."""

    path: Path
    repository_id: int
    base_sha: str
    head_sha: str


_OF_REQUEST = re.compile(r"(\d+)-[0-9a-f]+(-since)?\.json")
_OF_UNION = re.compile(r"union-(\d+)\.json")
_wanted: dict[Path, Wanted] = {}
_problems: dict[Path, str] = {}


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
    return of_head(ctx, request, request.head_sha, request.merge_base_sha)


def of_head(
    ctx: Context, request: MergeRequest, head_sha: str, merge_base_sha: str
) -> StoredDiff | None:
    """The diff of a round; None where it is not computed yet, or was put away: then it is asked for
    and there in a moment, if git still has the commits."""
    path = request_path(ctx, request.id or 0, head_sha)
    found = load(path)
    is_preflighted = head_sha == request.head_sha and request.state in merge_requests.OPEN_STATES
    if found is None and merge_base_sha and not is_preflighted:
        _wanted[path] = Wanted(path, request.repository_id, merge_base_sha, head_sha)
        ctx.publish("wake")
    return found


def changed_files(ctx: Context, merge_request_id: int, head_sha: str) -> ChangedFiles | None:
    """The files of that head's stored diff, without their lines: fast enough for a whole list."""
    path = request_path(ctx, merge_request_id, head_sha)
    try:
        return _changed_files(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        _put_away(path)
        return None


@lru_cache(maxsize=256)
def _changed_files(path: Path, _: int) -> ChangedFiles:
    return msgspec.json.decode(path.read_bytes(), type=ChangedFiles)


def since_seen(ctx: Context, *, merge_request_id: int) -> StoredDiff | None:
    """What its author changed since the human last looked; None where that is everything."""
    with ctx.db.read() as db:
        request = merge_requests.get(db, merge_request_id)
    if request is None:
        return None
    return load(since_path(ctx, merge_request_id, request.head_sha))


def session_diff(ctx: Context, *, session_id: str) -> StoredDiff | None:
    """What a session's worktree holds so far, uncommitted work included."""
    return load(session_path(ctx, session_id))


def directory(ctx: Context) -> Path:
    """Where the diffs of merge requests and unions are."""
    return ctx.home.path / "diffs"


def request_of(path: Path) -> int | None:
    """The merge request whose diff this file is; None where it is nobody's."""
    found = _OF_REQUEST.fullmatch(path.name)
    return int(found[1]) if found else None


def union_of(path: Path) -> int | None:
    """The union whose diff this file is; None where it is nobody's."""
    found = _OF_UNION.fullmatch(path.name)
    return int(found[1]) if found else None


def take_wanted(ctx: Context) -> list[Wanted]:
    """What was asked for below this home since the last call."""
    paths = [path for path in list(_wanted) if path.parent == directory(ctx)]
    return [wanted for path in paths if (wanted := _wanted.pop(path, None))]


def problem(path: Path) -> str:
    """Why the last try to compute it failed; "" where none did."""
    return _problems.get(path, "")


def note_problem(path: Path, says: str) -> None:
    """It could not be computed; a page that waits for it says so."""
    _problems[path] = says


def request_path(ctx: Context, merge_request_id: int, head_sha: str) -> Path:
    return directory(ctx) / f"{merge_request_id}-{head_sha[:16]}.json"


def since_path(ctx: Context, merge_request_id: int, head_sha: str) -> Path:
    return directory(ctx) / f"{merge_request_id}-{head_sha[:16]}-since.json"


def union_path(ctx: Context, batch_id: int) -> Path:
    return directory(ctx) / f"union-{batch_id}.json"


def session_path(ctx: Context, session_id: str) -> Path:
    return ctx.home.session(session_id) / "diff.json"


def load(path: Path) -> StoredDiff | None:
    """None where it is not computed yet."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=StoredDiff)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        _put_away(path)
        return None


def _put_away(path: Path) -> None:
    """Cut short by a crash of the machine, or another version's: it is computed again."""
    path.unlink(missing_ok=True)


def store(path: Path, diff: StoredDiff) -> None:
    """Replace the file as a whole, so that a reader never sees half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.stem}.{threading.get_ident()}.new")
    draft.write_bytes(msgspec.json.encode(diff))
    draft.replace(path)
    _problems.pop(path, None)
