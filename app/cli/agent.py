"""`quarterdeck agent`: the workers, what they say, and what is said to them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app import show
from app.cli.common import AsJson, connect, group, read_text
from app.cli.log import in_lines

cli = group("agent", "The workers: what they do, what they say, what you tell them.")
Name = Annotated[str, typer.Argument(help="The agent's name.")]
Model = Annotated[str | None, typer.Option(help="The driver's default where it is left out.")]
Permissions = Annotated[str | None, typer.Option(help="ask (you) or auto (the sandbox guards).")]
Instructions = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="A file with its persona.")
]
WAIT_SECONDS = 20
POLL_SECONDS = 0.5
PAGE = 2000


@cli.command("list")
def list_(json: AsJson = False) -> None:
    """List the agents and what each one does."""
    with connect() as client:
        fleet = client.get("/fleet")
    if json:
        show.as_json(fleet["tiles"])
        return
    rows = [
        (
            tile["name"],
            tile["state"],
            tile["task"],
            f"{tile['driver']} / {tile['account']}",
            f"{tile['output_tokens_per_minute']:.0f}",
            show.ago(tile["since"]),
            tile["last_line"],
        )
        for tile in fleet["tiles"]
    ]
    show.table(("agent", "state", "task", "driver / account", "tok/min", "for", "says"), rows)


@cli.command()
def add(
    name: Name,
    driver: Annotated[str, typer.Option(help="A driver's id; docs/accounts.md lists them.")],
    account: Annotated[
        str | None, typer.Option(help="Needed where the driver has several.")
    ] = None,
    model: Model = None,
    permissions: Permissions = None,
    instructions: Instructions = None,
    json: AsJson = False,
) -> None:
    """Add an agent."""
    with connect() as client:
        agent = client.post(
            "/agents",
            name=name,
            driver=driver,
            account=account,
            model=model,
            permissions=permissions,
            instructions=_text(instructions),
        )
    _said(agent, as_json=json)


@cli.command("set")
def set_(
    name: Name,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether it is given work.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="The login or key it spends.")] = None,
    model: Model = None,
    permissions: Permissions = None,
    instructions: Instructions = None,
    movable: Annotated[
        bool | None, typer.Option("--movable/--fixed", help="The balancer may move it.")
    ] = None,
    quota: Annotated[float | None, typer.Option(help="What it may use in a day.")] = None,
    quota_unit: Annotated[
        str | None, typer.Option(help="tokens (out), usd, percent (of a week); '' for no quota.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Change an agent; it holds from its next session start."""
    with connect() as client:
        agent = client.patch(
            f"/agents/{name}",
            is_enabled=enabled,
            account=account,
            model=model,
            permissions=permissions,
            instructions=_text(instructions),
            is_movable=movable,
            quota_unit=quota_unit,
            quota_per_day=quota,
        )
    _said(agent, as_json=json)


@cli.command()
def log(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it comes.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", help="Last records to begin with.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="One record a line.")] = False,
) -> None:
    """Print the log of the agent's newest session."""
    with connect() as client:
        session = _awaited(client, name) if follow else _session(client, name)
        path = f"/sessions/{session}/log"
        records = client.get(path, count=count)["records"]
        seq = _print(records, 0, as_json=json)
        while follow:
            page = client.get(path, after=seq, count=PAGE, wait_seconds=WAIT_SECONDS)
            seq = _print(page["records"], seq, as_json=json)


@cli.command()
def say(
    name: Name, text: Annotated[str, typer.Argument(help="The message; `-` reads it.")]
) -> None:
    """Tell the agent something; it reaches a running turn where the driver can steer."""
    with connect() as client:
        session = _session(client, name)
        message = client.post(f"/sessions/{session}/messages", text=read_text(text))
    show.line(f"Message {message['id']} is {message['state']}.")


@cli.command()
def move(
    name: Name,
    account: Annotated[str, typer.Argument(help="Where it goes: an account's name.")],
    now: Annotated[
        bool, typer.Option("--now", help="Interrupt its turn instead of waiting for the end.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: AsJson = False,
) -> None:
    """Move an agent and its work to another account; says first what it costs and saves."""
    from app.errors import Conflict

    with connect() as client:
        told = client.get(f"/agents/{name}/move-preview", account=account)
        is_called_off = told["from_account"] == told["to_account"]
        if told["refusal"] and not is_called_off:
            raise Conflict(told["refusal"])
        if not yes and not is_called_off:
            typer.confirm(f"{told['says']} Move it?", abort=True)
        moved = client.post(f"/agents/{name}/move", account=account, now=now)
    if json:
        show.as_json(moved)
    else:
        show.line(moved["says"])


@cli.command()
def interrupt(name: Name) -> None:
    """Stop the agent's running turn; the session stays usable."""
    with connect() as client:
        client.post(f"/sessions/{_session(client, name)}/interrupt")
    show.line(f"{name} was interrupted.")


def _session(client: Any, name: str) -> str:
    from app.errors import NotFound

    session = client.get(f"/agents/{name}")["session_id"]
    if session is None:
        raise NotFound(f"{name} has had no session yet; give it a task with `task add --agent`.")
    return str(session)


def _awaited(client: Any, name: str) -> str:
    """The newest session, waited for where there is none yet."""
    import time

    while not (session := client.get(f"/agents/{name}")["session_id"]):
        time.sleep(POLL_SECONDS)
    return str(session)


def _print(records: list[dict[str, Any]], seq: int, *, as_json: bool) -> int:
    """Print them; the number of the last one, or `seq` where there is none."""
    import json

    for record in records:
        if as_json:
            print(json.dumps(record, ensure_ascii=False), flush=True)
        else:
            for text in in_lines(record):
                show.line(text)
        seq = record["seq"]
    return seq


def _text(file: Path | None) -> str | None:
    return file.read_text() if file else None


def _said(agent: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        show.as_json(agent)
    else:
        show.line(f"{agent['name']}: {agent['driver']} on {agent['account']}, {agent['state']}")
