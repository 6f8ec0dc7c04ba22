"""Seen: which changes the human looked at, by content, so that the same one is never news twice."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, Protocol, get_args

from sqlmodel import Session as Orm

from app.errors import NotFound
from app.models import MergeRequest, SeenFile
from app.models.base import utc_now
from app.services import diffs
from app.services.context import Context
from app.store import merge_requests
from app.store import seen as store

# new: never shown · changed: shown here, but with other content · shown · ticked: "I have read it"
State = Literal["new", "changed", "shown", "ticked"]
STATES: tuple[State, ...] = get_args(State)


class Changed(Protocol):
    """A file's way from one content to another: a `FileDiff`, or a line of a diff's list."""

    @property
    def path(self) -> str: ...
    @property
    def old_blob(self) -> str: ...
    @property
    def new_blob(self) -> str: ...


def note(
    ctx: Context,
    *,
    merge_request_id: int,
    head_sha: str,
    paths: Sequence[str] | None = None,
    ticked: bool = False,
) -> None:
    """The human was shown these files of that commit's diff (None: all), or ticked them.

    NotFound where the diff has no such file, or is not computed yet.
    """
    base_sha, files = _chosen(ctx, merge_request_id, head_sha, paths)
    with ctx.db.write() as db:
        request = merge_requests.existing(db, merge_request_id)
        keep(db, request, head_sha, base_sha, files, ticked=ticked)
    ctx.publish("reviews", f"review:{merge_request_id}")


def untick(ctx: Context, *, merge_request_id: int, head_sha: str, paths: Sequence[str]) -> None:
    """Take ticks back; the files stay shown."""
    _, files = _chosen(ctx, merge_request_id, head_sha, paths)
    with ctx.db.write() as db:
        request = merge_requests.existing(db, merge_request_id)
        known = _known(db, request.repository_id, files)
        store.untick(db, [row for file in files if (row := known.get(_key(file)))])
    ctx.publish("reviews", f"review:{merge_request_id}")


def state(db: Orm, request: MergeRequest, files: Sequence[Changed]) -> dict[str, State]:
    """What the human knows of each file, by its path."""
    return states(db, [(request, files)])[request.id or 0]


def states(
    db: Orm, asked: Sequence[tuple[MergeRequest, Sequence[Changed]]]
) -> dict[int, dict[str, State]]:
    """`state` of several, by the merge request's id: one question for each repository."""
    paths: dict[int, set[str]] = defaultdict(set)
    for request, files in asked:
        paths[request.repository_id].update(file.path for file in files)
    rows = {number: store.of_paths(db, number, sorted(all_)) for number, all_ in paths.items()}
    return {
        request.id or 0: _states(rows[request.repository_id], request, files)
        for request, files in asked
    }


def _states(
    rows: Sequence[SeenFile], request: MergeRequest, files: Sequence[Changed]
) -> dict[str, State]:
    known = {(row.path, row.old_blob, row.new_blob): row for row in rows}
    here = {row.path for row in rows if row.merge_request_id == request.id}
    found: dict[str, State] = {}
    for file in files:
        row = known.get(_key(file))
        if row is not None:
            found[file.path] = "ticked" if row.is_ticked else "shown"
        else:
            found[file.path] = "changed" if file.path in here else "new"
    return found


def keep(
    db: Orm,
    request: MergeRequest,
    head_sha: str,
    merge_base_sha: str,
    files: Sequence[Changed],
    *,
    ticked: bool,
    seen_at: datetime | None = None,
) -> None:
    """Note a look (now) in the caller's transaction; a tick is never lost by a second look."""
    known = _known(db, request.repository_id, files)
    was_ticked = {key for key, row in known.items() if row.is_ticked}
    store.keep(
        db,
        [
            {
                "repository_id": request.repository_id,
                "path": file.path,
                "old_blob": file.old_blob,
                "new_blob": file.new_blob,
                "merge_request_id": request.id,
                "head_sha": head_sha,
                "merge_base_sha": merge_base_sha,
                "is_ticked": ticked or _key(file) in was_ticked,
                "seen_at": seen_at or utc_now(),
            }
            for file in files
        ],
    )


def _chosen(
    ctx: Context, merge_request_id: int, head_sha: str, paths: Sequence[str] | None
) -> tuple[str, list[diffs.ChangedFile]]:
    listed = diffs.changed_files(ctx, merge_request_id, head_sha)
    if listed is None:
        raise NotFound("The diff of this commit is not computed yet; try again in a moment.")
    if paths is None:
        return listed.base_sha, list(listed.files)
    by_path = {file.path: file for file in listed.files}
    if unknown := [path for path in paths if path not in by_path]:
        raise NotFound(f"{unknown[0]} is not changed in #{merge_request_id} at {head_sha[:12]}.")
    return listed.base_sha, [by_path[path] for path in dict.fromkeys(paths)]


def _known(
    db: Orm, repository_id: int, files: Iterable[Changed]
) -> dict[tuple[str, str, str], SeenFile]:
    rows = store.of_paths(db, repository_id, [file.path for file in files])
    return {(row.path, row.old_blob, row.new_blob): row for row in rows}


def _key(file: Changed) -> tuple[str, str, str]:
    return file.path, file.old_blob, file.new_blob
