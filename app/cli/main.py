"""The verbs that need no running server, and the groups that talk to one."""

from pathlib import Path
from typing import Annotated

import typer

from app import __version__
from app.cli import (
    account,
    agent,
    balance,
    check,
    contest,
    decisions,
    permission,
    pull,
    queue,
    radar,
    record,
    repository,
    review,
    task,
    union,
    usage,
)
from app.cli.common import AsJson, group

cli = group("quarterdeck", "One human commands many coding agents. Without a command: serve.")
for part in (
    *(task, agent, account, repository, review, check, union, contest, record, permission, usage),
    *(balance, radar),
):
    cli.add_typer(part.cli)
review.cli.command()(pull.pull)

Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on; loopback by default.")]
Remote = Annotated[bool, typer.Option("--allow-remote", help="Permit a non-loopback address.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"quarterdeck {__version__}")
        raise typer.Exit


@cli.callback()
def general(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@cli.command()
def serve(
    port: Port = None,
    host: Host = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser.")] = False,
    allow_remote: Remote = False,
    repository: Annotated[
        Path | None, typer.Option(help="Repository to serve; else the one around you.")
    ] = None,
) -> None:
    """Serve the dashboard and the git repository around you."""
    from app.cli import serving

    serving.serve(
        port=port, host=host, browser=browser, allow_remote=allow_remote, repository=repository
    )


cli.command()(queue.queue)
cli.command()(decisions.decisions)


@cli.command()
def doctor(json: AsJson = False) -> None:
    """Say what this machine lacks, and how to mend it."""
    from app.cli import local

    local.doctor(as_json=json)


@cli.command()
def migrate() -> None:
    """Bring the database to this version (`serve` does it too)."""
    from app.cli import local

    local.migrate()


@cli.command()
def reindex() -> None:
    """Rebuild the sessions' rows from their journals."""
    from app.cli import local

    local.reindex()


@cli.command()
def token(
    renew: Annotated[bool, typer.Option("--renew", help="Make a new one first.")] = False,
) -> None:
    """Print the address to log in with."""
    from app.cli import local

    local.token(renew=renew)


@cli.command()
def demo(
    check: Annotated[
        bool, typer.Option("--check", help="Drive it to its end without a browser, then report.")
    ] = False,
    port: Port = None,
) -> None:
    """Serve a demonstration: six real agents, rehearsed replies."""
    from app.cli import local

    raise typer.Exit(local.demo(check=check, port=port))


@cli.command()
def rehearse(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 0,
    scenarios: Annotated[Path | None, typer.Option(help="A directory of more scenarios.")] = None,
) -> None:
    """Serve scripted model replies: no key, no network."""
    from app.cli import local

    local.rehearse(port=port, scenarios=scenarios)


@cli.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def bench(context: typer.Context, family: Annotated[str, typer.Argument()] = "--help") -> None:
    """Measure; `bench --help` lists the families."""
    from app import bench as benchmarks

    raise typer.Exit(benchmarks.main(family, context.args))
