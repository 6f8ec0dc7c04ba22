"""How a terminal is shown things: tables, JSON, one sentence of complaint."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from app.web.ansi import clean

WIDE = 200  # columns where the output is no terminal: nothing is cut


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table on stdout. Cells are text, never markup or terminal control."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    shown = Table(*columns, title=Text(title) if title else None, box=None, title_justify="left")
    for row in rows:
        shown.add_row(*(Text(cell(value)) for value in row))
    console.print(shown)


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def line(text: str) -> None:
    """Text of any origin, made harmless, as it is otherwise."""
    print(clean(text), flush=True)


def progress(text: str) -> None:
    """What a long command is at, on stderr, so that its result can be piped."""
    print(clean(text), file=sys.stderr, flush=True)


def complain(text: str) -> None:
    print(f"quarterdeck: {clean(text)}", file=sys.stderr)


def cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean(str(value)).replace("\n", " ")


def ago(moment: str | None) -> str:
    """How long ago an ISO time was: `12 s`, `5 min`, `3 h`, `2 d`."""
    if not moment:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
