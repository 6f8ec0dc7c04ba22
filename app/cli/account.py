"""`quarterdeck account`: the logins and keys that agents spend."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from app import show
from app.cli.common import AsJson, connect, group

cli = group("account", "The logins and keys that agents spend.")
WAIT_SECONDS, POLL_SECONDS = 60, 1.0
LOGIN_SECONDS = 600

Name = Annotated[str, typer.Argument(help="The account's name.")]
KeyVariable = Annotated[
    str | None, typer.Option(help="NAME of the environment variable with the key; never the key.")
]
ConfigDir = Annotated[str | None, typer.Option(help="The login's own directory.")]
BaseUrl = Annotated[str | None, typer.Option(help="An endpoint that is not the vendor's own.")]
PlanName = Annotated[str | None, typer.Option("--plan", help="As the vendor calls it.")]
Price = Annotated[float | None, typer.Option(help="Dollars a month; the plan's by default.")]
Week = Annotated[float | None, typer.Option(help="What a week holds, in dollars at list price.")]
Reserve = Annotated[float | None, typer.Option(help="Percent of each budget kept for yourself.")]
Automatic = Annotated[
    bool | None, typer.Option("--automatic/--by-hand", help="Whether the balancer may use it.")
]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="That may be used here; may be given often.")
]
DailyCap = Annotated[float | None, typer.Option(help="Dollars a day, from 00:00 UTC on.")]
MaxRunning = Annotated[int | None, typer.Option(help="Sessions at the same time.")]
Rank = Annotated[int | None, typer.Option(help="Your order, smallest first.")]
FIELDS = {  # what a human calls them, for --lift
    "plan": "plan",
    "price": "price_usd_month",
    "week": "week_usd",
    "reserve": "reserve_percent",
    "models": "models",
    "daily-cap": "daily_cap_usd",
    "max-running": "max_running",
    "rank": "rank",
    "base-url": "base_url",
    "key-variable": "secret_env",
    "config-dir": "config_dir",
}


@cli.command()
def add(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    driver: Annotated[str, typer.Option(help="A driver's id; docs/accounts.md lists them.")],
    auth: Annotated[str, typer.Option(help="subscription, api_key or none.")] = "subscription",
    key_variable: KeyVariable = None,
    config_dir: ConfigDir = None,
    base_url: BaseUrl = None,
    plan: PlanName = None,
    price: Price = None,
    week: Week = None,
    reserve: Reserve = None,
    automatic: Automatic = None,
    model: Models = None,
    daily_cap: DailyCap = None,
    max_running: MaxRunning = None,
    rank: Rank = None,
    json: AsJson = False,
) -> None:
    """Register a login by its directory, or a key by its variable's name."""
    places = _places(key_variable, config_dir, base_url)
    rules = _rules(plan, price, week, reserve, automatic, model, daily_cap, max_running, rank)
    with connect() as client:
        account = client.post("/accounts", name=name, driver=driver, auth=auth, **places, **rules)
    if json:
        show.as_json(account)
    else:
        show.line(f"Account {account['name']} for {account['driver']}; see `quarterdeck doctor`.")


@cli.command("list")
def list_(json: AsJson = False) -> None:
    """List the accounts: login, plan, how full their windows are, your rules."""
    from app.cli.account_table import print_accounts

    with connect() as client:
        accounts = client.get("/accounts")
    if json:
        show.as_json(accounts)
    else:
        print_accounts(accounts)


@cli.command("set")
def set_(
    name: Name,
    plan: PlanName = None,
    price: Price = None,
    week: Week = None,
    reserve: Reserve = None,
    automatic: Automatic = None,
    model: Models = None,
    daily_cap: DailyCap = None,
    max_running: MaxRunning = None,
    rank: Rank = None,
    key_variable: KeyVariable = None,
    config_dir: ConfigDir = None,
    base_url: BaseUrl = None,
    lift: Annotated[
        list[str] | None, typer.Option(help=f"Unset one: {', '.join(FIELDS)}; may be given often.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Change an account's rules, or where its login or key is."""
    places = _places(key_variable, config_dir, base_url)
    rules = _rules(plan, price, week, reserve, automatic, model, daily_cap, max_running, rank)
    lifted = [_field(name) for name in lift or []]
    with connect() as client:
        account = client.patch(f"/accounts/{quote(name, safe='')}", lifted, **places, **rules)
    _said([account], as_json=json)


@cli.command()
def probe(name: Name, json: AsJson = False) -> None:
    """Ask the vendor's own program now: login, plan and meters. Costs no tokens."""
    from app.errors import Unavailable

    with connect() as client:
        before = client.post(f"/accounts/{quote(name, safe='')}/probe")["probed_at"]
        account = _until(client, name, lambda told: told["probed_at"] != before, WAIT_SECONDS)
    if account is None:
        raise Unavailable(f"No answer in {WAIT_SECONDS} s; `account list` shows it when it came.")
    _said([account], as_json=json)


@cli.command()
def login(
    name: Name,
    wait: Annotated[bool, typer.Option(help="Wait until you are logged in.")] = True,
    json: AsJson = False,
) -> None:
    """Print the vendor's own login command for your terminal, and notice when it succeeded."""
    from app.errors import Unavailable

    with connect() as client:
        shown = client.post(f"/accounts/{quote(name, safe='')}/login")
        show.progress("Type this into another terminal, as yourself:")
        show.as_json(shown) if json else show.line(f"  {shown['command']}")
        if not wait:
            return
        show.progress("Waiting until you are logged in, ten minutes at most; Ctrl-C stops it.")
        started = client.get(f"/accounts/{quote(name, safe='')}")["probed_at"]
        account = _until(
            client,
            name,
            lambda told: told["login"] == "in" and told["probed_at"] != started,
            LOGIN_SECONDS,
        )
    if account is None:
        raise Unavailable(f"{name} is not logged in yet; run `account login` again.")
    show.progress(f"{name} is logged in{_as(account)}.")


@cli.command()
def remove(name: Name) -> None:
    """Forget an account that nobody uses; its directory, login and key stay as they are."""
    with connect() as client:
        client.delete(f"/accounts/{quote(name, safe='')}")
    show.line(f"{name} is forgotten.")


def _field(name: str) -> str:
    if name not in FIELDS:
        raise typer.BadParameter(f"{name!r} can't be lifted: name one of {', '.join(FIELDS)}.")
    return FIELDS[name]


def _until(client: Any, name: str, ready: Any, seconds: float) -> dict[str, Any] | None:
    """The account once it is ready; None after so many seconds."""
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        account: dict[str, Any] = client.get(f"/accounts/{quote(name, safe='')}")
        if ready(account):
            return account
        time.sleep(POLL_SECONDS)
    return None


def _as(account: dict[str, Any]) -> str:
    who, plan = account["identity"], account["plan"]
    return f" as {who}" * bool(who) + f", {plan}" * bool(plan)


def _places(
    key_variable: str | None, config_dir: str | None, base_url: str | None
) -> dict[str, Any]:
    """A relative directory is seen from where the human is, not from where the server is."""
    directory = str(Path(config_dir).expanduser().absolute()) if config_dir else None
    return {"secret_env": key_variable, "config_dir": directory, "base_url": base_url}


def _rules(
    plan: str | None,
    price: float | None,
    week: float | None,
    reserve: float | None,
    automatic: bool | None,
    models: list[str] | None,
    daily_cap: float | None,
    max_running: int | None,
    rank: int | None,
) -> dict[str, Any]:
    return {
        "plan": plan,
        "price_usd_month": price,
        "week_usd": week,
        "reserve_percent": reserve,
        "is_automatic": automatic,
        "models": models or None,
        "daily_cap_usd": daily_cap,
        "max_running": max_running,
        "rank": rank,
    }


def _said(accounts: list[dict[str, Any]], *, as_json: bool) -> None:
    from app.cli.account_table import print_accounts

    if as_json:
        show.as_json(accounts[0])
    else:
        print_accounts(accounts)
