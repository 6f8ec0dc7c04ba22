"""Where comments on lines stand after the author went on: by the line's words and neighbours."""

from collections.abc import Sequence

from app.models import Comment, MergeRequest
from app.services import diffs
from app.services.context import Context


def lines_now(
    ctx: Context, request: MergeRequest, comments: Sequence[Comment]
) -> dict[int, int | None]:
    """By comment id, the number its line has at the present head; None: outdated, it is gone.

    Comments on the whole, or on a whole file, are left out. Reads stored diffs, one for each head.
    """
    on_lines = [comment for comment in comments if comment.path and comment.line is not None]
    earlier = {comment.head_sha for comment in on_lines} - {request.head_sha}
    heads = {*earlier, request.head_sha} if earlier else ()
    moved = {head: diffs.load(diffs.request_path(ctx, request.id or 0, head)) for head in heads}
    return {
        comment.id or 0: comment.line
        if comment.head_sha == request.head_sha
        else _line_now(moved[comment.head_sha], moved[request.head_sha], comment)
        for comment in on_lines
    }


def _line_now(
    then: diffs.StoredDiff | None, now: diffs.StoredDiff | None, comment: Comment
) -> int | None:
    was, old, new = comment.line or 0, _lines(then, comment), _lines(now, comment)

    def likeness(number: int) -> tuple[int, int]:
        neighbours = sum(new.get(number + step) == old.get(was + step) for step in (-1, 1))
        return neighbours, -abs(number - was)

    same = [number for number, text in new.items() if was in old and text == old[was]]
    return max(same, key=likeness, default=None)


def _lines(diff: diffs.StoredDiff | None, comment: Comment) -> dict[int, str]:
    """The numbered lines of the comment's file on the comment's side, as far as they are shown."""
    changed = diff.files if diff else []
    files = [file for file in changed if comment.path in (file.path, file.old_path)]
    lines = [line for file in files for hunk in file.hunks for line in hunk.lines]
    numbered = ((line.old_no if comment.side == "old" else line.new_no, line) for line in lines)
    return {number: line.text for number, line in numbered if number is not None}
