"""`quarterdeck radar`: who collides with whom, and telling an agent of it."""

from typing import Annotated, Any

import typer

from app import show
from app.cli.common import AsJson, connect

cli = typer.Typer(
    name="radar",
    help="Who collides with whom: the base, open merge requests, agents at work.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@cli.callback()
def radar(
    context: typer.Context,
    repository: Annotated[str | None, typer.Option(help="Of this repository only.")] = None,
    json: AsJson = False,
) -> None:
    """List the pairs that do not merge, then those that may not fit."""
    if context.invoked_subcommand is not None:
        return
    with connect() as client:
        fields = client.get("/radar", repository=repository)
    if json:
        show.as_json(fields)
        return
    for field in fields:
        _print(field)


@cli.command()
def tell(
    session: Annotated[str, typer.Argument(help="The session's id.")], json: AsJson = False
) -> None:
    """Tell a working session what it collides with now."""
    with connect() as client:
        message = client.post("/radar/tell", session_id=session)
    if json:
        show.as_json(message)
    else:
        show.line(message["text"])


def _print(field: dict[str, Any]) -> None:
    names = {member["key"]: _name(member) for member in field["members"]}
    found = sorted(field["collisions"], key=lambda each: str(each["kind"] != "text"))
    rows = [
        (names.get(each["one"], ""), names.get(each["other"], ""), each["kind"], _where(each))
        for each in found
    ]
    count = len(field["members"]) - 1
    show.line(
        f"{field['repository']} {field['base_branch']}: {count} under way, "
        f"{len(rows)} collisions, looked at {show.ago(field['computed_at'])}"
    )
    if rows:
        show.table(("one", "other", "kind", "where"), rows)
    if field["uncovered"]:
        unread = ", ".join(f"{n} {ending}" for ending, n in field["uncovered"].items())
        show.line(f"Symbols of these changed files are not read: {unread}.")


def _name(member: dict[str, Any]) -> str:
    if member["key"] == "base":
        return str(member["branch"])
    number = f"#{member['merge_request_id']}" if member["merge_request_id"] else "at work"
    return f"{member['agent'] or 'somebody'} ({number})"


def _where(collision: dict[str, Any]) -> str:
    if collision["kind"] == "symbol":
        return "; ".join(each["says"] for each in collision["symbols"])
    return ", ".join(collision["paths"]) or "git can't merge them"
