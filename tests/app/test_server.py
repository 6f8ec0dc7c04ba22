"""The server's own manners: it starts or says why not, and it stops though browsers hang on."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from app.paths import ROOT, Home
from app.server import SHUTDOWN_SECONDS
from app.services.access import token

RUN = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", "0"]


@pytest.fixture
def server(home: Home, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A served empty home, and its address without the token."""
    environment = {"QUARTERDECK_HOME": str(home.path), "PYTHONPATH": str(ROOT)}
    (tmp_path / "elsewhere").mkdir()
    process = subprocess.Popen(
        RUN,
        cwd=tmp_path / "elsewhere",
        env={**environment, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.search(r"(http://127\.0\.0\.1:\d+)/\?token=", said)
    assert found, said
    yield process, found[1]
    if process.poll() is None:
        process.kill()
        process.wait(timeout=10)
    process.stdout.close()


async def test_an_open_socket_does_not_hold_up_the_end(
    server: tuple[subprocess.Popen[str], str], home: Home
) -> None:
    process, url = server
    bearer = {"Authorization": f"Bearer {token(home)}"}
    address = f"{url.replace('http', 'ws')}/ws/page?topics=fleet"
    async with connect(address, additional_headers=bearer) as browser:
        process.send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(process.wait, SHUTDOWN_SECONDS + 15)
        await browser.wait_closed()
    assert status == 0
    assert not home.server_info.exists()


async def test_its_answers_name_no_server_and_need_the_token(
    server: tuple[subprocess.Popen[str], str], home: Home
) -> None:
    _, url = server
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        stranger = await client.get("/api/v1/fleet")
        assert stranger.status_code == 401
        assert stranger.json()["error"]["code"] == "refused"
        assert "server" not in stranger.headers
        client.headers["Authorization"] = f"Bearer {token(home)}"
        assert (await client.get("/api/v1/fleet")).status_code == 200
        document = (await client.get("/api/v1/openapi.json")).json()
        assert "/api/v1/reviews/{merge_request_id}/approve" in document["paths"]
        unknown = await client.get("/api/v1/nothing")
        assert unknown.status_code == 404
        assert unknown.json()["error"]["message"]


async def test_compression_is_not_offered(
    server: tuple[subprocess.Popen[str], str], home: Home
) -> None:
    _, url = server
    bearer = {"Authorization": f"Bearer {token(home)}"}
    address = f"{url.replace('http', 'ws')}/ws/page?topics=fleet"
    async with connect(address, additional_headers=bearer) as browser:
        assert browser.response is not None
        assert "sec-websocket-extensions" not in browser.response.headers
