"""Every setting, read from QUARTERDECK_* variables. `docs/settings.md` lists them."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.paths import Home, default_home


class Settings(BaseSettings):
    """One instance per process, made at start and handed down."""

    model_config = SettingsConfigDict(env_prefix="QUARTERDECK_", extra="ignore")

    home: Path = Field(default_factory=default_home)
    """State directory: database, journals, clones, agents' homes."""
    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs `allow_remote`."""
    port: int = 8484
    """Port to listen on; 0 takes a free one."""
    allow_remote: bool = False
    """Permit a non-loopback bind. Put TLS in front of it first."""
    allowed_hosts: list[str] = []
    """Host names, besides loopback, that requests may carry (a reverse proxy's)."""
    database_url: str = ""
    """SQLAlchemy URL; empty is SQLite in the home directory."""
    max_sessions: int = 8
    """Sessions that may run at the same time."""
    start_interval_seconds: float = 0.5
    """Least time between two launches: vendors' programs are heavy to start."""
    idle_stop_seconds: float = 600.0
    """A runner whose agent waits for nothing is stopped after this long; it resumes on demand."""
    check_timeout_seconds: float = 900.0
    """Time limit of a repository's check, unless quarterdeck.toml gives one."""
    max_checks: int = Field(default=0, ge=0)
    """Checks that may run at the same time; 0 is half of the processor's cores."""
    sandbox: bool = True
    """Run sessions under bubblewrap where it is installed."""
    rehearsal: bool = False
    """The replies come from the rehearsal server; every page says so."""

    @property
    def state(self) -> Home:
        return Home(self.home)

    @property
    def checks_at_once(self) -> int:
        return self.max_checks or max(1, len(os.sched_getaffinity(0)) // 2)

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.state.database}"
