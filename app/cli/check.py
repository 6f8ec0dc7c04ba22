"""`quarterdeck check`: how a check stands, what it prints, run it again, stop it."""

import time
from typing import Annotated

import typer

from app import show
from app.cli.common import AsJson, connect, group

cli = group("check", "Runs of a repository's check command.")
Id = Annotated[int, typer.Argument(help="The check's number; `check list` shows them.")]
_LOOK_SECONDS = 0.5


@cli.command("list")
def list_(
    review_id: Annotated[int, typer.Argument(help="The merge request's number.")],
    json: AsJson = False,
) -> None:
    """List the checks of a merge request, newest first."""
    with connect() as client:
        checks = client.get(f"/reviews/{review_id}/checks")
    if json:
        show.as_json(checks)
        return
    rows = [
        (check["id"], check["state"], check["run"], check["tree_sha"][:12], check["command"])
        for check in checks
    ]
    show.table(("id", "state", "run", "tree", "command"), rows)


@cli.command("show")
def show_(check_id: Id, json: AsJson = False) -> None:
    """Show one check and every run of its tree."""
    with connect() as client:
        check = client.get(f"/checks/{check_id}")
    if json:
        show.as_json(check)
        return
    flaky = ", flaky: its runs contradict each other" if check["is_flaky"] else ""
    show.line(f"Check {check_id}: {check['state']}{flaky}\n{check['command']}")
    rows = [(run["run"], run["state"], run["exit_code"], run["ended_at"]) for run in check["runs"]]
    show.table(("run", "state", "exit", "ended"), rows)


@cli.command()
def log(
    check_id: Id,
    follow: Annotated[bool, typer.Option("--follow", help="Until it has ended.")] = False,
) -> None:
    """Print what it printed, as far as it is kept."""
    offset, is_over, held = 0, False, ""
    with connect() as client:
        while not is_over:
            piece = client.get(f"/checks/{check_id}/log", offset=offset)
            lines, newline, held = (held + piece["text"]).rpartition("\n")
            if newline:
                show.line(lines)
            is_over = piece["is_over"] or not (follow or piece["text"])
            if not piece["text"] and not is_over:
                time.sleep(_LOOK_SECONDS)
            offset = piece["next_offset"]
    if held:
        show.line(held)


@cli.command()
def rerun(check_id: Id, json: AsJson = False) -> None:
    """Run the same tree once more."""
    with connect() as client:
        check = client.post(f"/checks/{check_id}/rerun")
    if json:
        show.as_json(check)
        return
    show.line(f"Check {check['id']} is run {check['run']} of this tree: {check['state']}")


@cli.command()
def cancel(check_id: Id, json: AsJson = False) -> None:
    """Stop it, with all of its processes."""
    with connect() as client:
        check = client.post(f"/checks/{check_id}/cancel")
    if json:
        show.as_json(check)
        return
    show.line(f"Check {check_id} is stopped.")
