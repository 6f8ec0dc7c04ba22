"""The lines of a diff as table rows: escaped here, since a template takes too long for thousands.

Control and bidirectional characters are shown, never obeyed: a reviewer must see them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from markupsafe import Markup, escape

from app.errors import NotFound
from app.git.diffs import FileDiff
from app.git.patches import Line
from app.models import Comment
from app.web.ansi import reveal
from app.web.intraline import Spans, marks

KEY_BYTES = 9
Place = tuple[str, str, int]  # path, side, line number
Piece = tuple[Markup, Sequence[Comment]]

_ROWS = {" ": "<tr>", "+": '<tr class="add">', "-": '<tr class="del">'}
_NOTE = '<tr class="no-newline">'


class Named(Protocol):
    """A file of a diff, with its lines or without."""

    @property
    def path(self) -> str: ...


def pieces(file: FileDiff, comments: Mapping[Place, Sequence[Comment]]) -> Iterator[Piece]:
    """The rows of a file up to each line that was remarked on, with the remarks; then the rest."""
    noted: dict[tuple[str, int | None], Sequence[Comment]] = {
        place[1:]: said for place, said in comments.items() if place[0] == file.path
    }
    html: list[str] = []
    for hunk in file.hunks:
        html += _hunk_row(hunk.new_start, hunk.header)
        changed = marks(hunk.lines)
        for at, line in enumerate(hunk.lines):
            html += _row(line, changed.get(at, ()))
            if noted and (said := noted.get(_place(line))):
                yield _joined(html), said
                html = []
        html.append("</tbody>")
    yield _joined(html), ()


def row_count(file: FileDiff) -> int:
    """How many rows `pieces` has, remarks left out: what the page reserves room for."""
    return sum(1 + len(hunk.lines) for hunk in file.hunks)


def key(path: str) -> str:
    """Names a file on the page: a path may hold what no attribute can carry unchanged."""
    return hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).hexdigest()


def path_of(files: Iterable[Named], wanted: str) -> str:
    """The path that `key` named; NotFound where the diff has no such file."""
    found = next((file.path for file in files if key(file.path) == wanted), None)
    if found is None:
        raise NotFound("This diff has no such file; load the page again.")
    return found


def _hunk_row(start: int, header: str) -> tuple[str, ...]:
    says = f" · {escape(reveal(header))}" if header else ""
    row = '<tbody><tr class="hunk"><td colspan="2">⋯</td><td>'
    return (row, f"line {start}", says, "</td></tr>")


def _row(line: Line, spans: Spans) -> tuple[str, ...]:
    text = _marked(line.text, spans) if spans else escape(reveal(line.text))
    numbers = f"<td>{line.old_no or ''}</td><td>{line.new_no or ''}</td><td>"
    return (_ROWS.get(line.kind, _NOTE), numbers, text, "</td></tr>")


def _marked(text: str, spans: Spans) -> str:
    """The text with its changed spans in bold elements, each piece escaped by itself."""
    html: list[str] = []
    at = 0
    for start, end in spans:
        html += (escape(reveal(text[at:start])), "<b>", escape(reveal(text[start:end])), "</b>")
        at = end
    html.append(escape(reveal(text[at:])))
    return "".join(html)


def _place(line: Line) -> tuple[str, int | None]:
    return ("old", line.old_no) if line.kind == "-" else ("new", line.new_no)


def _joined(html: list[str]) -> Markup:
    return Markup("".join(html))  # every piece of it is ours or went through escape()
