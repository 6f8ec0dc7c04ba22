"""Where things lie: the shipped files, and the state. The only module that knows."""

import os
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"
STATIC = ROOT / "static"
MIGRATIONS = ROOT / "alembic"


def default_home() -> Path:
    """QUARTERDECK_HOME, else the checkout when run from one, else the platform's directory."""
    if chosen := os.environ.get("QUARTERDECK_HOME"):
        return Path(chosen).expanduser().absolute()
    if (ROOT / "pyproject.toml").is_file():
        return ROOT / ".quarterdeck"
    return Path(platformdirs.user_state_dir("quarterdeck"))


class Home:
    """The state directory and what lies where in it. Made private (0700) on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def ensure(self) -> "Home":
        """Create what is missing; OSError where the directory cannot be written."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        for directory in (self.sessions, self.repositories, self.agents, self.worktrees):
            directory.mkdir(mode=0o700, exist_ok=True)
        return self

    @property
    def database(self) -> Path:
        return self.path / "quarterdeck.db"

    @property
    def sessions(self) -> Path:
        return self.path / "sessions"

    @property
    def repositories(self) -> Path:
        return self.path / "repositories"

    @property
    def agents(self) -> Path:
        """One private HOME per agent."""
        return self.path / "agents"

    @property
    def worktrees(self) -> Path:
        """The checkout's own worktrees/ when the state lives in the checkout."""
        beside = self.path.parent / "worktrees"
        return beside if self.path == ROOT / ".quarterdeck" else self.path / "worktrees"

    @property
    def token(self) -> Path:
        return self.path / "token"

    @property
    def server_lock(self) -> Path:
        return self.path / "server.lock"

    @property
    def server_info(self) -> Path:
        """JSON {url, pid, started_at} of the running server."""
        return self.path / "server.json"

    def session(self, session_id: str) -> Path:
        return self.sessions / session_id

    def repository(self, slug: str) -> Path:
        return self.repositories / slug

    def agent(self, name: str) -> Path:
        return self.agents / name

    def checks(self) -> Path:
        return self.path / "checks"
