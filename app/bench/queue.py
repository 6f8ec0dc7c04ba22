"""The merge queue beside mergetrain: the same repository, ten approved commits, one of them bad.

Both start with everything approved and nothing checked, run one check at a time unless told
otherwise, and end when the good ones are on the base. A run is counted when the command started.
"""

import argparse
import asyncio
import os
import pty
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from app.bench import Bar, Result
from app.git.cloning import sync
from app.models import MergeRequest
from app.paths import Home
from app.server import open_context
from app.services import preflight, queue, refreshing, reviews, seen
from app.services.context import Context
from app.services.repositories import add_repository, clones_of
from app.settings import Settings
from app.show import progress
from app.store import batches, merge_requests
from app.supervisor.bus import Bus
from app.supervisor.checker import check_forever

LIMIT_SECONDS = 900.0
HOW_TO = "mergetrain is not on the PATH: `pipx install mergetrain`, or name it with --mergetrain."


@dataclass(frozen=True)
class Measured:
    """What one queue needed."""

    seconds: float
    train_runs: int
    single_runs: int
    landed: int


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mergetrain", default="mergetrain", metavar="PATH")
    options.add_argument("--commits", type=int, default=10)
    options.add_argument("--bad", type=int, default=7, help="which of them fails, from 1")
    options.add_argument("--seconds", type=float, default=2.0, help="how long a check takes")
    options.add_argument("--at-once", type=int, default=1, help="checks of ours at once")
    return options


def run(options: argparse.Namespace) -> Result:
    """Seconds until the good ones landed, and how often the command ran, for both."""
    program = shutil.which(options.mergetrain)
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as folder:
        progress("ours …")
        ours = _ours(Path(folder) / "ours", options)
        if program is not None:
            progress("mergetrain …")
        theirs = _theirs(Path(folder) / "theirs", options, program) if program else None
    rows = [_row("quarterdeck", ours), *([_row("mergetrain", theirs)] if theirs else [])]
    bars = [Bar("landed", ours.landed, options.commits - 1, is_floor=True)]
    if theirs:
        bars.append(Bar("runs, ours", ours.train_runs + ours.single_runs, theirs.train_runs))
        bars.append(Bar("seconds to land, ours", ours.seconds, theirs.seconds, "s"))
    notes = [
        f"{options.commits} commits, number {options.bad} fails; a check: {options.seconds} s.",
        "Single runs are the checks of each merge request by itself, which we begin when it is "
        "offered; trains go first, and what rides is not run by itself.",
        *([] if theirs else [HOW_TO]),
    ]
    return Result(("queue", "seconds", "train runs", "single runs", "landed"), rows, bars, notes)


def _row(name: str, one: Measured) -> tuple[object, ...]:
    return name, round(one.seconds, 2), one.train_runs, one.single_runs, one.landed


def _make(folder: Path, options: argparse.Namespace, files: dict[str, str]) -> Path:
    """A repository with a branch for each commit; the human's settings play no part."""
    repository = folder / "repository"
    repository.mkdir(parents=True)
    _git(repository, "init", "-q", "-b", "main")
    for name, value in (("name", "Bench"), ("email", "bench@localhost")):
        _git(repository, "config", f"user.{name}", value)
    _commit(repository, files, "first")
    for number in range(1, options.commits + 1):
        _git(repository, "checkout", "-q", "-b", f"b{number}", "main")
        name = "bad" if number == options.bad else f"file-{number}"
        _commit(repository, {name: f"{number}\n"}, f"Commit {number}")
    _git(repository, "checkout", "-q", "main")
    return repository


def _commit(repository: Path, files: dict[str, str], message: str) -> None:
    for name, content in files.items():
        (repository / name).write_text(content)
    _git(repository, "add", "--all")
    _git(repository, "commit", "-q", "-m", message)


def _git(where: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=where, check=True, capture_output=True, timeout=60)
    return done.stdout.decode()


def _landed(where: Path) -> int:
    names = _git(where, "ls-tree", "--name-only", "main").splitlines()
    return sum(name.startswith("file-") for name in names)


def _ours(folder: Path, options: argparse.Namespace) -> Measured:
    command = f"sleep {options.seconds}; test ! -e bad"
    repository = _make(folder, options, {"quarterdeck.toml": f'[check]\ncommand = "{command}"\n'})
    settings = Settings(home=folder / "home", max_checks=options.at_once)
    Home(settings.home).ensure()
    with open_context(settings) as quiet:
        bus = Bus()
        ctx = Context(settings, quiet.db, bus.publish)
        ids = _offer(ctx, repository, options.commits)
        started = time.monotonic()
        for number, head in ids.items():
            reviews.approve(ctx, merge_request_id=number, head_sha=head)
        asyncio.run(_until_decided(ctx, bus, list(ids)))
        seconds = time.monotonic() - started
        with ctx.db.read() as db:
            runs = batches.runs_started(db)
    of_trains = sum(run.batch_id is not None for run in runs)
    return Measured(seconds, of_trains, len(runs) - of_trains, _landed(repository))


def _offer(ctx: Context, repository: Path, commits: int) -> dict[int, str]:
    """Each branch as a merge request that the human looked at: id and head."""
    served = add_repository(ctx, path=str(repository), base_branch="main")
    heads = sync(clones_of(ctx, served))
    offered = {}
    for number in range(1, commits + 1):
        request = MergeRequest(
            repository_id=served.id or 0,
            title=f"Commit {number}",
            branch=f"b{number}",
            base_branch="main",
            head_sha=heads[f"b{number}"],
            base_sha="",
        )
        with ctx.db.write() as db:
            db.add(request)
        preflight.preflight(ctx, request.id or 0)
        seen.note(ctx, merge_request_id=request.id or 0, head_sha=request.head_sha, ticked=True)
        offered[request.id or 0] = request.head_sha
    return offered


async def _until_decided(ctx: Context, bus: Bus, ids: list[int]) -> None:
    """The server's loops that take part, until every request landed or went back."""
    bus.attach()
    refresher = refreshing.Refresher()

    async def queue_moves() -> None:
        with bus.listen(["wake"]) as listener:
            while await asyncio.to_thread(_undecided, ctx, ids):
                await asyncio.to_thread(queue.step, ctx)
                await listener.changes(1.0)
        raise _Decided

    async def bases_are_met() -> None:
        with bus.listen(["wake"]) as listener:
            while True:
                await asyncio.to_thread(refresher.refresh_stale, ctx)
                await listener.changes(1.0)

    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            await asyncio.gather(check_forever(ctx, bus), queue_moves(), bases_are_met())
    except _Decided:
        await asyncio.sleep(0)


class _Decided(Exception):
    """All is landed or thrown out."""


def _undecided(ctx: Context, ids: list[int]) -> bool:
    with ctx.db.read() as db:
        rows = [merge_requests.get(db, number) for number in ids]
    return any(row is not None and row.state in ("approved", "landing") for row in rows)


def _theirs(folder: Path, options: argparse.Namespace, program: str) -> Measured:
    counted = folder / "runs"
    command = f"echo run >> '{counted}'; sleep {options.seconds}; test ! -e bad"
    config = (
        "version: 2\nproject:\n  name: bench\n"
        f'gates:\n  - name: check\n    run: "{command}"\n'
        "deploy:\n  reuse:\n    enabled: true\n"
    )
    files = {".mergetrain.yaml": config, ".gitignore": ".mergetrain/\n"}
    repository = _make(folder, options, files)
    remote = folder / "remote.git"
    _git(
        folder, "clone", "-q", "--bare", "--single-branch", "-b", "main", "repository", str(remote)
    )
    _git(repository, "remote", "add", "origin", str(remote))
    _git(repository, "fetch", "-q", "origin")
    for number in range(1, options.commits + 1):
        _git(repository, "worktree", "add", "-q", str(folder / f"w{number}"), f"b{number}")
    started = time.monotonic()
    for number in range(1, options.commits + 1):
        branch = f"b{number}"
        _mergetrain(program, repository, "enqueue", "--task", branch, "--branch", branch)
    _mergetrain(program, repository, "validate")
    _mergetrain(program, repository, "deploy")
    seconds = time.monotonic() - started
    return Measured(seconds, len(counted.read_text().split()), 0, _landed(remote))


def _mergetrain(program: str, repository: Path, *arguments: str) -> None:
    """It asks for its deployment to be confirmed at a terminal: here is one, and the answer."""
    ours, its = pty.openpty()
    try:
        os.write(ours, b"y\n")
        subprocess.run(
            [program, *arguments],
            cwd=repository,
            stdin=its,
            capture_output=True,
            timeout=LIMIT_SECONDS,
            check=False,  # "partly" is what it says where one was thrown out
        )
    finally:
        os.close(ours)
        os.close(its)
