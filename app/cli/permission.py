"""`quarterdeck permission`: what agents ask, answered once."""

from typing import Annotated

import typer

from app import show
from app.cli.common import AsJson, connect, group

cli = group("permission", "What agents ask to be allowed.")


@cli.command("list")
def list_(json: AsJson = False) -> None:
    """List the open requests, oldest first."""
    with connect() as client:
        asks = client.get("/permissions")
    if json:
        show.as_json(asks)
        return
    rows = [
        (ask["id"], ask["session_id"], ask["name"], ask["title"], show.ago(ask["created_at"]))
        for ask in asks
    ]
    show.table(("id", "session", "tool", "asks for", "waits"), rows)


@cli.command()
def answer(
    permission_id: Annotated[int, typer.Argument(help="Its number in the list.")],
    decision: Annotated[str, typer.Argument(help="allow, allow_always or deny.")],
    message: Annotated[str, typer.Option(help="What the agent is told with it.")] = "",
) -> None:
    """Allow or deny a request; the first answer counts."""
    with connect() as client:
        ask = client.post(
            f"/permissions/{permission_id}/answer", decision=decision, message=message
        )
    show.line(f"Permission {ask['id']}: {decision}, {ask['title']}")
