"""`quarterdeck account`: the logins and keys that agents spend."""

from typing import Annotated

import typer

from app import show
from app.cli.common import AsJson, connect, group

cli = group("account", "The logins and keys that agents spend.")


@cli.command()
def add(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    driver: Annotated[str, typer.Option(help="A driver's id; docs/accounts.md lists them.")],
    auth: Annotated[str, typer.Option(help="subscription, api_key or none.")] = "subscription",
    key_variable: Annotated[
        str, typer.Option(help="NAME of the environment variable with the key; never the key.")
    ] = "",
    config_dir: Annotated[str, typer.Option(help="The login's own directory.")] = "",
    base_url: Annotated[str, typer.Option(help="An endpoint that is not the vendor's own.")] = "",
    json: AsJson = False,
) -> None:
    """Register a login by its directory, or a key by its variable's name."""
    with connect() as client:
        account = client.post(
            "/accounts",
            name=name,
            driver=driver,
            auth=auth,
            secret_env=key_variable,
            config_dir=config_dir,
            base_url=base_url,
        )
    if json:
        show.as_json(account)
    else:
        show.line(f"Account {account['name']} for {account['driver']}; see `quarterdeck doctor`.")


@cli.command("list")
def list_(json: AsJson = False) -> None:
    """List the accounts and when a used-up one returns."""
    with connect() as client:
        accounts = client.get("/accounts")
    if json:
        show.as_json(accounts)
        return
    rows = [
        (
            account["name"],
            account["driver"],
            "rehearsed" if account["is_rehearsal"] else account["auth"],
            account["config_dir"] or account["secret_env"],
            account["base_url"],
            account["limited_until"],
        )
        for account in accounts
    ]
    show.table(("account", "driver", "pays by", "directory or variable", "at", "returns"), rows)
