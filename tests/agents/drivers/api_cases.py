"""How the tests start the two API agents against the rehearsal server."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agents.base import Endpoint, LaunchSpec
from agents.registry import driver
from agents.rehearsal.server import RehearsalServer
from agents.testing import DriverCase, Live, RecordingHost, SpecFactory


def spec(driver_id: str, base_url: str, tmp: Path) -> LaunchSpec:
    """A session in the worktree below `tmp` that retries quickly and little."""
    (tmp / "home").mkdir(exist_ok=True)
    return LaunchSpec(
        session_id="test",
        driver=driver_id,
        cwd=str(tmp / "worktree"),
        home=str(tmp / "home"),
        permissions="auto",
        endpoint=Endpoint(auth="api_key", base_url=base_url, secret_env="REHEARSED_KEY"),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp / "home"),
            "QUARTERDECK_API_RETRIES": "3",
            "QUARTERDECK_API_RETRY_SECONDS": "0.01",
        },
    )


def _spec_of(driver_id: str) -> SpecFactory:
    def make(tmp: Path, scenario: str, rehearsal: RehearsalServer) -> LaunchSpec:
        protocol = driver_id.removesuffix("_api")
        return spec(driver_id, getattr(rehearsal, f"{protocol}_url")(scenario), tmp)

    return make


@asynccontextmanager
async def talking(driver_id: str, base_url: str, tmp: Path) -> AsyncIterator[Live]:
    """A started session against any server; closed afterwards, whatever happened."""
    host = RecordingHost(spec(driver_id, base_url, tmp), tmp, "a-key")
    connection = driver(driver_id).connect(host)
    try:
        await connection.start()
        yield Live(host, connection)
    finally:
        await connection.close()


# A key's headers tell of requests and tokens per minute, which the scenarios do not steer.
MESSAGES = DriverCase("anthropic_api", _spec_of("anthropic_api"), quota=False)
RESPONSES = DriverCase("openai_api", _spec_of("openai_api"), quota=False)
