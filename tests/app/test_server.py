"""The server's own manners: it starts or says why not, and it stops though browsers hang on."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from websockets.asyncio.client import connect

from app.paths import ROOT, Home
from app.server import SHUTDOWN_SECONDS
from app.services.access import token

RUN = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", "0"]


@dataclass(frozen=True)
class Served:
    """A running server without a repository."""

    process: subprocess.Popen[str]
    url: str
    home: Home

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {token(self.home)}"}

    @property
    def socket(self) -> str:
        return f"{self.url.replace('http', 'ws')}/ws/page?topics=fleet"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("served")
    home = Home(directory / "home")
    environment = {"QUARTERDECK_HOME": str(home.path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        RUN,
        cwd=directory,
        env={**environment, "PATH": "/usr/bin:/bin", "HOME": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.search(r"(http://127\.0\.0\.1:\d+)/\?token=", said)
    assert found, said
    yield Served(process, found[1], home)
    if process.poll() is None:
        process.kill()
        process.wait(timeout=10)
    process.stdout.close()


async def test_its_answers_name_no_server_and_need_the_token(server: Served) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        stranger = await client.get("/api/v1/fleet")
        assert stranger.status_code == 401
        assert stranger.json()["error"]["code"] == "refused"
        assert "server" not in stranger.headers
        client.headers.update(server.bearer)
        assert (await client.get("/api/v1/fleet")).status_code == 200
        document = (await client.get("/api/v1/openapi.json")).json()
        assert "/api/v1/reviews/{merge_request_id}/approve" in document["paths"]
        unknown = await client.get("/api/v1/nothing")
        assert unknown.status_code == 404
        assert unknown.json()["error"]["message"]


async def test_compression_is_not_offered(server: Served) -> None:
    async with connect(server.socket, additional_headers=server.bearer) as browser:
        assert browser.response is not None
        assert "sec-websocket-extensions" not in browser.response.headers


async def test_an_open_socket_does_not_hold_up_the_end(server: Served) -> None:
    """The last one here: the server is gone afterwards."""
    async with connect(server.socket, additional_headers=server.bearer) as browser:
        server.process.send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(server.process.wait, SHUTDOWN_SECONDS + 15)
        await browser.wait_closed()
    assert status == 0
    assert not server.home.server_info.exists()
