"""`quarterdeck repository`: what is served."""

from pathlib import Path
from typing import Annotated

import typer

from app import show
from app.cli.common import AsJson, connect, group

cli = group("repository", "The git repositories that are served.")


@cli.command()
def add(
    path: Annotated[Path, typer.Argument(help="A directory inside it.")] = Path(),
    base: Annotated[str | None, typer.Option(help="Branch that work is merged into.")] = None,
    json: AsJson = False,
) -> None:
    """Serve a repository; it is cloned twice with hardlinks, and otherwise not touched."""
    with connect() as client:
        row = client.post("/repositories", path=str(path.absolute()), base_branch=base)
    if json:
        show.as_json(row)
    else:
        show.line(f"Repository {row['slug']}: {row['path']}, base {row['base_branch']}")


@cli.command("list")
def list_(json: AsJson = False) -> None:
    """List the repositories."""
    with connect() as client:
        rows = client.get("/repositories")
    if json:
        show.as_json(rows)
        return
    cells = [(row["slug"], row["base_branch"], row["path"]) for row in rows]
    show.table(("repository", "base", "path"), cells)
