"""`quarterdeck decisions`: the ledger, one JSON object a line."""

from typing import Annotated

import typer

from app.cli.common import connect


def decisions(
    since: Annotated[
        str | None, typer.Option(help="Only from this time on, such as 2026-01-31T12:00Z.")
    ] = None,
) -> None:
    """Print every decision, yours, the queue's and the balancer's, as JSON lines, oldest first."""
    with connect() as client:
        for line in client.lines("/decisions.jsonl", since=since):
            typer.echo(line)
