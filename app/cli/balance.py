"""`quarterdeck balance`: the balancer's mode, and what it decided or advises."""

from typing import Annotated, Any

import typer

from app import show
from app.cli.common import AsJson, connect, group

cli = group("balance", "The balancer: its mode, its decisions, and your word on them.")
DecisionId = Annotated[int, typer.Argument(help="The decision's number.")]


@cli.command()
def mode(
    wanted: Annotated[
        str, typer.Argument(metavar="[MODE]", help="off, advise, auto_new or auto_all.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Show the balancer's mode, or switch it."""
    with connect() as client:
        told = client.put("/balancer", mode=wanted) if wanted else client.get("/balancer", limit=1)
    if json:
        show.as_json(told)
        return
    show.line(f"The balancer's mode is {told['mode']}.")
    if told["is_dry"]:
        show.line(f"No account takes work now; the first returns at {told['returns_at']}.")


@cli.command("list")
def list_(
    limit: Annotated[int, typer.Option(help="How many.")] = 20,
    json: AsJson = False,
) -> None:
    """List what it advises, then its newest decisions."""
    with connect() as client:
        told = client.get("/balancer", limit=limit)
    if json:
        show.as_json(told)
        return
    rows = [
        (
            row["id"],
            show.ago(row["at"]),
            row["state"],
            row["task_id"],
            row["agent"],
            row["from_account"],
            row["to_account"],
            row["reason"],
        )
        for row in told["decisions"]
    ]
    show.line(f"The balancer's mode is {told['mode']}.")
    show.table(("id", "age", "state", "task", "agent", "from", "to", "why"), rows)


@cli.command()
def apply(decision_id: DecisionId, json: AsJson = False) -> None:
    """Do what a decision advises."""
    _do(decision_id, "apply", as_json=json)


@cli.command()
def dismiss(decision_id: DecisionId, json: AsJson = False) -> None:
    """Say no to what a decision advises."""
    _do(decision_id, "dismiss", as_json=json)


@cli.command()
def undo(decision_id: DecisionId, json: AsJson = False) -> None:
    """Take a decision back: its agent returns to where it was."""
    _do(decision_id, "undo", as_json=json)


def _do(decision_id: int, verb: str, *, as_json: bool) -> None:
    with connect() as client:
        row: dict[str, Any] = client.post(f"/balancer/decisions/{decision_id}/{verb}")
    if as_json:
        show.as_json(row)
    else:
        show.line(f"Decision {row['id']} is {row['state']}: {row['reason']}")
