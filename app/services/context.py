"""What every use case needs, handed down once."""

from collections.abc import Callable
from dataclasses import dataclass

from app.paths import Home
from app.settings import Settings
from app.store.database import Database


@dataclass(frozen=True)
class Context:
    """Settings, database and a way to say that topics changed (see `app.supervisor.bus`)."""

    settings: Settings
    db: Database
    publish: Callable[..., None]

    @property
    def home(self) -> Home:
        return self.settings.state
