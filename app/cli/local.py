"""The verbs that work on this machine's state directly."""

from dataclasses import asdict
from pathlib import Path

import typer

from app import show
from app.settings import Settings


def doctor(*, as_json: bool) -> None:
    """Print the findings; status 1 where one of them stops everything."""
    from app.services.doctor import examine

    findings = examine(Settings())
    if as_json:
        show.as_json([asdict(finding) for finding in findings])
    else:
        rows = [(each.state, each.name, each.says, each.mend) for each in findings]
        show.table(("", "what", "found", "how to mend it"), rows)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def migrate() -> None:
    from app.lock import prepare_home
    from app.store.migrate import current, upgrade

    settings = Settings()
    prepare_home(settings.state)
    before = current(settings.database)
    upgrade(settings.database)
    show.line(f"Schema {before or 'none'} → {current(settings.database)}")


def reindex() -> None:
    from app.lock import claim
    from app.server import open_context
    from app.services.reindex import reindex as run

    settings = Settings()
    with claim(settings.state), open_context(settings) as ctx:
        show.line(f"{run(ctx)} sessions read again from their journals.")


def token(*, renew: bool) -> None:
    from app.lock import is_running, running_url
    from app.services import access

    home = Settings().state
    if renew:
        access.renew(home)
        if is_running(home):
            show.complain("the running server keeps the old token until it is started again")
    url = running_url(home)
    found = access.token(home)
    show.line(access.login_url(url, found) if url else found)


def demo(*, check: bool, port: int | None) -> int:
    from app.demo import run

    settings = Settings() if port is None else Settings(port=port)
    return run(settings, check)


def rehearse(*, port: int, scenarios: Path | None) -> None:
    from agents.rehearsal.server import serve

    serve(port, scenarios)
