"""The fleet under load: real runners, journals, ingest, hub and sockets; scripted agents.

Every viewer follows every session. A record's latency is from its time in the journal to the
arrival of its frame at the viewer, so it holds the runner's write, the server's read, the
encoding and the socket.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import websockets

from agents import journal
from app import paths
from app.bench import Bar, Result
from app.client import Client
from app.demo.run import bury, clear
from app.demo.stage import make_project
from app.lock import running_url
from app.paths import Home
from app.server import open_context
from app.services import accounts, agents, repositories, tasks
from app.services.access import token
from app.settings import Settings
from app.show import progress

START_SECONDS = 300.0
DRAIN_SECONDS = 3.0
READY_RECORDS = 5  # of the first turn, before anyone looks


class Frame(msgspec.Struct):
    """What the bench reads of a frame."""

    first: int
    last: int


@dataclass
class Viewer:
    """One socket: when which records arrived."""

    session_id: str
    arrivals: list[tuple[float, int, int]] = field(default_factory=list)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--agents", type=int, default=50)
    options.add_argument("--rate", type=float, default=10.0, help="records a second and agent")
    options.add_argument("--viewers", type=int, default=5, help="each follows every agent")
    options.add_argument("--seconds", type=float, default=20.0)
    return options


def run(options: argparse.Namespace) -> Result:
    """Start everything, stream, compare what arrived with what was written."""
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as place:
        home = Home(Path(place) / "home")
        clear(home)
        progress(f"starting {options.agents} agents ...")
        _prepare(home, options, make_project(Path(place) / "project"))
        server = _serve(home, options)
        try:
            return _measure(home, options, server.pid)
        finally:
            server.terminate()
            server.wait(30)
            bury(home)


def _prepare(home: Home, options: argparse.Namespace, project: Path) -> None:
    home.ensure()
    with open_context(Settings(home=home.path)) as ctx:
        repositories.add_repository(ctx, path=str(project))
        accounts.add_account(ctx, name="Scripts", driver="scripted", auth="none")
        for number in range(options.agents):
            name = f"agent-{number}"
            agents.add_agent(ctx, name=name, driver="scripted", permissions="auto")
            tasks.add_task(ctx, repository=None, title="", prompt='{"say":"Ready."}', agent=name)


def _serve(home: Home, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    env = {
        **os.environ,
        "QUARTERDECK_HOME": str(home.path),
        "QUARTERDECK_MAX_SESSIONS": str(options.agents),
        "QUARTERDECK_START_INTERVAL_SECONDS": "0",
        "PYTHONPATH": str(paths.ROOT),
    }
    command = "from app.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", command, "serve", "--port", "0"],
        cwd=home.path,
        env=env,
        stdout=subprocess.DEVNULL,
    )


def _measure(home: Home, options: argparse.Namespace, server_pid: int) -> Result:
    _until(lambda: running_url(home) is not None, START_SECONDS)
    with Client(home) as client:
        _until(lambda: _idle(client) == options.agents, START_SECONDS)
        ids = [row["id"] for row in client.get("/sessions", limit=1000)]
        progress(f"{len(ids)} agents are ready, streaming for {options.seconds:g} s ...")
        before = _cpu_seconds(server_pid)
        begun = time.monotonic()
        viewers = asyncio.run(_watch(home, client, ids, options))
        share = (_cpu_seconds(server_pid) - before) / (time.monotonic() - begun)
    return _result(home, ids, viewers, options, share)


async def _watch(
    home: Home, client: Client, ids: list[str], options: argparse.Namespace
) -> list[Viewer]:
    viewers = [Viewer(session_id) for session_id in ids for _ in range(options.viewers)]
    ready = asyncio.Semaphore(0)
    tasks_ = [asyncio.ensure_future(_view(home, viewer, ready)) for viewer in viewers]
    for _ in viewers:
        await asyncio.wait_for(ready.acquire(), 60)
    script = json.dumps({"rate": options.rate, "seconds": options.seconds})
    for session_id in ids:
        await asyncio.to_thread(client.post, f"/sessions/{session_id}/messages", text=script)
    wanted = options.agents * (int(options.rate * options.seconds))
    deadline = time.monotonic() + options.seconds + START_SECONDS
    while time.monotonic() < deadline and _written(home, ids) < wanted:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    await asyncio.sleep(DRAIN_SECONDS)
    for task in tasks_:
        task.cancel()
    await asyncio.gather(*tasks_, return_exceptions=True)
    return viewers


async def _view(home: Home, viewer: Viewer, ready: asyncio.Semaphore) -> None:
    url = (running_url(home) or "").replace("http://", "ws://")
    headers = {"Authorization": f"Bearer {token(home)}"}
    address = f"{url}/ws/sessions/{viewer.session_id}/log?after=0"
    async with websockets.connect(
        address, additional_headers=headers, compression=None, open_timeout=60, max_size=None
    ) as socket:
        ready.release()
        async for text in socket:
            now = time.time()
            for frame in msgspec.json.decode(text, type=list[Frame]):
                viewer.arrivals.append((now, frame.first, frame.last))


def _result(
    home: Home, ids: list[str], viewers: list[Viewer], options: argparse.Namespace, share: float
) -> Result:
    written = {session_id: _times(home, session_id) for session_id in ids}
    lost = doubled = 0
    latencies_ms: list[float] = []
    for viewer in viewers:
        seen = [(seq, at) for at, first, last in viewer.arrivals for seq in range(first, last + 1)]
        times = written[viewer.session_id]
        unique = {seq for seq, _ in seen}
        doubled += len(seen) - len(unique)
        lost += len(times.keys() - unique)
        latencies_ms += [1000 * (at - times[seq]) for seq, at in seen if seq > READY_RECORDS]
    latencies_ms.sort()
    p50, p95, p99 = (latencies_ms[int(len(latencies_ms) * q)] for q in (0.5, 0.95, 0.99))
    columns = ("agents", "viewers", "records", "frames", "p50 ms", "p95 ms", "p99 ms", "max ms")
    row = (
        options.agents,
        options.viewers,
        sum(len(times) for times in written.values()),
        sum(len(viewer.arrivals) for viewer in viewers),
        *(round(value, 1) for value in (p50, p95, p99, latencies_ms[-1])),
    )
    bars = [
        Bar("records lost", lost, 0),
        Bar("records doubled", doubled, 0),
        Bar("journal to socket, p95", round(p95, 1), 150, "ms"),
    ]
    note = f"The server used {100 * share:.0f} % of a core while {len(viewers)} sockets followed."
    return Result(columns, [row], bars, [note])


def _times(home: Home, session_id: str) -> dict[int, float]:
    """When each record of the journal was written, by its number."""
    path = home.session(session_id) / "journal.ndjson"
    records = journal.records_from(path, 0, 1_000_000)
    return {record.seq: record.at.timestamp() for record in records}


def _written(home: Home, ids: list[str]) -> int:
    paths_ = (home.session(session_id) / "journal.ndjson" for session_id in ids)
    return sum(journal.last_seq(path) - READY_RECORDS for path in paths_)


def _idle(client: Client) -> int:
    rows = client.get("/sessions", limit=1000)
    return sum(row["state"] == "running" and row["turns"] == 1 for row in rows)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _until(ready: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the fleet was not ready within {seconds:.0f} s")
        time.sleep(0.2)
