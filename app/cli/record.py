"""`quarterdeck record`: which model is good at what, and whether the dispatcher goes by it."""

from typing import Annotated, Any

import typer

from app import show
from app.cli.common import AsJson, connect, group

cli = group("record", "The record: how each model's work ended, by kind of work.")


@cli.command("show")
def show_(
    by: Annotated[str, typer.Option(help="label, language, area or repository.")] = "label",
    json: AsJson = False,
) -> None:
    """Print it: accepted at once with the 95 % interval, the rest as counts."""
    with connect() as client:
        record = client.get("/record", by=by)
    if json:
        show.as_json(record)
        return
    columns = (
        "model", by, "at once", "interval", "judged", "changes", "rejected", "reverted",
        "not picked", "$/accepted", "",
    )  # fmt: skip
    show.table(columns, [_row(row) for row in record["rows"]])


@cli.command()
def prefer(switch: Annotated[str, typer.Argument(help="on or off.")], json: AsJson = False) -> None:
    """Let the dispatcher prefer models by what their record says of the task's label."""
    from app.errors import Invalid

    if switch not in ("on", "off"):
        raise Invalid(f"{switch!r} is neither on nor off.")
    with connect() as client:
        now = client.put("/record/preference", on=switch == "on")
    if json:
        show.as_json(now)
    else:
        show.line(f"Models are {'' if now['on'] else 'not '}preferred by their record.")


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    known = row["judged"] > 0
    cost = row["usd_per_kept"]
    return (
        row["model"],
        row["kind"],
        row["good"] if known else "",
        f"{row['low'] * 100:.0f} to {row['high'] * 100:.0f} %" if known else "",
        row["judged"],
        row["after_changes"],
        row["rejected"],
        row["reverted"],
        row["not_picked"],
        f"${cost:.2f} (of {row['priced']})" if cost is not None else "",
        row["standing"],
    )
