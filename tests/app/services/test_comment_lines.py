"""Comments follow their lines through rounds, and say so when the line is gone."""

from pathlib import Path

from app.services import reviews
from app.services.comment_lines import lines_now
from app.services.context import Context
from app.store import merge_requests
from tests.app.services.desk import Desk

POEM = "printf 'roses\\nviolets\\nroses\\nsugar\\n' > poem; sed -i s/a/b/ a"


def now(desk: Desk, number: int) -> dict[str, int | None]:
    """By the comment's words."""
    with desk.ctx.db.read() as db:
        said = merge_requests.comments(db, number)
    lines = lines_now(desk.ctx, desk.get(number), said)
    return {comment.body: lines[comment.id or 0] for comment in said if comment.id in lines}


def test_a_comment_follows_its_line_until_it_is_gone(ctx: Context, tmp_path: Path) -> None:
    desk = Desk(ctx, tmp_path / "ship")
    number = desk.offer(POEM)
    for line, body in ((3, "these again"), (4, "sweet")):
        reviews.comment(ctx, **desk.verdict(number), body=body, path="poem", line=line)
    reviews.comment(ctx, **desk.verdict(number), body="was a", path="a", line=1, side="old")
    reviews.comment(ctx, **desk.verdict(number), body="on the whole")
    assert now(desk, number) == {"these again": 3, "sweet": 4, "was a": 1}
    desk.renew(number, "printf 'title\\nroses\\nviolets\\nroses\\nsalt\\n' > poem")
    assert now(desk, number) == {"these again": 4, "sweet": None, "was a": 1}
    desk.renew(number, "git rm -q poem; git checkout -q main -- a; touch b")
    assert now(desk, number) == {"these again": None, "sweet": None, "was a": None}
