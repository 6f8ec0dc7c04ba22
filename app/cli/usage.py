"""`quarterdeck usage`: what was spent, and the import of what was spent elsewhere."""

from typing import Annotated, Any

import typer

from app import show
from app.cli.common import AsJson, connect

cli = typer.Typer(
    name="usage",
    help="Tokens, and dollars at list price: by account, agent, task, model, session or hour.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@cli.callback()
def usage(
    context: typer.Context,
    by: Annotated[
        str, typer.Option(help="account, agent, task, model, session, hour.")
    ] = "account",
    days: Annotated[float, typer.Option(help="Of the last so many days.")] = 7.0,
    outside: Annotated[
        bool, typer.Option("--outside/--ours", help="With the use that the vendors' logs tell of.")
    ] = True,
    json: AsJson = False,
) -> None:
    """Show what was spent: tokens, and dollars at list price."""
    if context.invoked_subcommand is not None:
        return
    with connect() as client:
        rows = client.get("/usage", by=by, days=days, outside=outside)
    if json:
        show.as_json(rows)
        return
    columns = (by, "output", "fresh input", "cache write", "cache read", "$ at list price")
    show.table(columns, [_cells(row) for row in rows])


@cli.command("import")
def import_(
    account: Annotated[str | None, typer.Option(help="Only this account's logs.")] = None,
    json: AsJson = False,
) -> None:
    """Count what is new in the vendors' own logs; the server also does it by itself."""
    done: dict[str, dict[str, Any]] = {}
    with connect() as client:
        while True:
            step = client.post("/usage/import", account=account)
            for each in step:
                _add(done.setdefault(each["account"], {}), each)
            if all(each["is_finished"] for each in step):
                break
            show.progress(" · ".join(f"{e['account']}: {_size(e)}" for e in done.values()))
    if json:
        show.as_json(list(done.values()))
        return
    rows = [(e["account"], e["directory"], e["new_calls"], _size(e)) for e in done.values()]
    show.table(("account", "directory", "new calls", "read"), rows)
    for each in done.values():
        for problem in each["problems"]:
            show.progress(f"{each['account']}: {problem}")


def _add(so_far: dict[str, Any], step: dict[str, Any]) -> None:
    for name in ("files", "records", "new_calls", "bytes_read", "unreadable_lines"):
        step[name] += so_far.get(name, 0)
    so_far |= step


def _size(done: dict[str, Any]) -> str:
    return f"{done['bytes_read'] / 1e6:,.1f} MB"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    counters = (row["output"], row["fresh_input"], row["cache_write"], row["cache_read"])
    dollars = "unknown" if row["usd"] is None else f"{row['usd']:,.2f}"
    more = " and more" if row["is_partial"] else ""
    return (row["label"], *(f"{counter:,}" for counter in counters), dollars + more)
