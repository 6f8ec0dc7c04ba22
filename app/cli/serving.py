"""`quarterdeck serve`: settings from the options, the repository around us, one address."""

import webbrowser
from pathlib import Path

from app.cli.common import connect
from app.lock import is_running
from app.server import serve as run_server
from app.services.context import Context
from app.services.repositories import add_repository
from app.settings import Settings
from app.show import line


def serve(
    *,
    port: int | None,
    host: str | None,
    browser: bool,
    allow_remote: bool,
    repository: Path | None,
) -> None:
    """Serve until stopped; where a server runs already, hand it the repository instead."""
    given = {"port": port, "host": host, "allow_remote": allow_remote or None}
    settings = Settings().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    path = repository or around(Path.cwd())
    if path is not None and is_running(settings.state):
        _hand_over(path)
        return

    def prepare(ctx: Context) -> None:
        if path is not None:
            row = add_repository(ctx, path=str(path))
            line(f"Repository {row.slug}: {row.path}, base {row.base_branch}")

    def ready(address: str) -> None:
        line(f"Quarterdeck is at {address}")
        line("Stop with Ctrl-C; agents that are working go on, and are adopted at the next start.")
        if browser:
            webbrowser.open(address)

    run_server(settings, prepare=prepare, ready=ready)


def around(directory: Path) -> Path | None:
    """The nearest directory upwards that is a git repository's top level."""
    above = (directory, *directory.parents)
    return next((path for path in above if _is_repository(path / ".git")), None)


def _is_repository(dot_git: Path) -> bool:
    """A linked worktree's `.git` is a file; a stray empty directory is nothing."""
    return dot_git.is_file() or (dot_git / "HEAD").exists()


def _hand_over(path: Path) -> None:
    with connect() as client:
        row = client.post("/repositories", path=str(path))
        line(f"Repository {row['slug']} is served by the server that runs already:")
        line(client.login_url)
