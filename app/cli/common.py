"""What the verbs share: the client of the running server, options that many have."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.client import Client

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]


def group(name: str, about: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=about,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def connect() -> "Client":
    """A client of the server that runs for this home; ServerNotRunning where none does."""
    from app.client import Client
    from app.paths import Home, default_home

    return Client(Home(default_home()))


def read_text(text: str) -> str:
    """The text itself; `-` reads standard input."""
    return sys.stdin.read() if text == "-" else text
