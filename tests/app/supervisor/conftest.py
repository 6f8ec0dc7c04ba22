"""A whole fleet without pages: the real supervisor, runners and repositories, scripted agents."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents import launch, reaper
from app.models import MergeRequest, Permission, Radar, Session, Task
from app.services import accounts, agents, radar, repositories, reviews, seen, tasks
from app.services.context import Context
from app.settings import Settings
from app.store import merge_requests, sessions
from app.store import radar as store
from app.supervisor.bus import Bus
from app.supervisor.supervisor import Supervisor
from tests.app.supervisor.serving import Server

SECONDS = 30.0


class Deck:
    """A context with its bus and supervisor, and the waits that tests need."""

    def __init__(self, ctx: Context, bus: Bus, repository: Path) -> None:
        self.ctx, self.bus, self.repository = ctx, bus, repository
        self.supervisor = Supervisor(ctx, bus)

    def add_task(self, *, agent: str | None = None, **script: object) -> int:
        """A task whose prompt is a script; the scripted driver wants nothing but JSON."""
        prompt = json.dumps(script)
        task = tasks.add_task(self.ctx, repository=None, title="", prompt=prompt, agent=agent)
        return task.id or 0

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.repository, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def task(self, task_id: int) -> Task:
        with self.ctx.db.read() as db:
            return db.get_one(Task, task_id)

    def session(self, task_id: int) -> Session:
        with self.ctx.db.read() as db:
            return sessions.of_task(db, task_id)[0]

    def state(self, task_id: int) -> str:
        """Of the task's newest session; "" where it has none yet."""
        with self.ctx.db.read() as db:
            return next((session.state for session in sessions.of_task(db, task_id)), "")

    def request(self, task_id: int) -> MergeRequest:
        with self.ctx.db.read() as db:
            found = merge_requests.of_task(db, task_id)
        assert found is not None
        return found

    def radar_of(self, task_id: int) -> Radar | None:
        task = self.task(task_id)
        with self.ctx.db.read() as db:
            return store.get(db, task.repository_id, task.base_branch)

    def overlaps(self, task_id: int) -> list[dict[str, Any]]:
        return store.overlaps(self.radar_of(task_id), self.request(task_id))

    def warnings(self, task_id: int) -> list[radar.Warned]:
        if not self.state(task_id):
            return []
        return radar.warnings_of_session(self.radar_of(task_id), self.session(task_id).id)

    def journal(self, task_id: int) -> str:
        if not self.state(task_id):
            return ""
        path = self.ctx.home.session(self.session(task_id).id) / "journal.ndjson"
        return path.read_text() if path.exists() else ""

    def check(self, request_id: int) -> str:
        with self.ctx.db.read() as db:
            check = merge_requests.latest_check(db, request_id)
        return check.state if check else ""

    def open_permissions(self) -> list[Permission]:
        with self.ctx.db.read() as db:
            return sessions.open_permissions(db)

    def approve(self, task_id: int) -> None:
        self.approve_request(self.request(task_id))

    def approve_request(self, request: MergeRequest) -> None:
        """As a human does: read every file, then decide."""
        request_id, head = request.id or 0, request.head_sha
        seen.note(self.ctx, merge_request_id=request_id, head_sha=head, ticked=True)
        reviews.approve(self.ctx, merge_request_id=request_id, head_sha=head)

    async def until(self, ready: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Wait for the store to say so; the bus rings, so nothing is slept for."""
        topics = ["fleet", "tasks", "reviews", "inbox", "wake"]
        with self.bus.listen(topics) as listener:
            async with asyncio.timeout(seconds):
                while not ready():
                    await listener.changes(0.25)

    async def until_task(self, task_id: int, *states: str, seconds: float = SECONDS) -> Task:
        try:
            await self.until(lambda: self.task(task_id).state in states, seconds)
        except TimeoutError:
            task, session = self.task(task_id), self.session(task_id)
            raise AssertionError(f"wanted {states}, have {task!r} {session!r}") from None
        return self.task(task_id)


def make_repository(path: Path) -> Path:
    """A human's repository with one commit and a check command of its own."""
    path.mkdir()
    (path / "greet.txt").write_text("hello\n")
    (path / "quarterdeck.toml").write_text('[check]\ncommand = "! grep -rq BROKEN *.txt"\n')
    first_commit(path)
    return path


def first_commit(path: Path) -> None:
    """All of a directory as a repository of a human, with one commit on main."""
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "Human"),
        ("config", "user.email", "human@example.org"),
        ("add", "--all"),
        ("commit", "--quiet", "--message=First commit"),
    ):
        subprocess.run(["git", *arguments], cwd=path, check=True, timeout=20)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "ship")


@pytest.fixture
def fleet(ctx: Context, settings: Settings, repository: Path) -> Iterator[Deck]:
    """A deck with one repository and two scripted agents, not started yet."""
    settings.start_interval_seconds = 0.0
    bus = Bus()
    deck = Deck(Context(settings, ctx.db, bus.publish), bus, repository)
    repositories.add_repository(deck.ctx, path=str(repository))
    accounts.add_account(deck.ctx, name="Scripts", driver="scripted", auth="none")
    for name in ("maple", "otter"):
        agents.add_agent(deck.ctx, name=name, driver="scripted", permissions="auto")
    yield deck
    with deck.ctx.db.read() as db:
        for session in sessions.every(db):
            _end_runner(deck, session.id)


@pytest.fixture
def server(fleet: Deck) -> Iterator[Server]:
    """The deck's server as a process of its own, not started yet."""
    server = Server(fleet.ctx.home.path, fleet.repository)
    yield server
    server.kill()


@pytest.fixture
async def deck(fleet: Deck) -> AsyncIterator[Deck]:
    """The same, with its supervisor running."""
    fleet.bus.attach()
    await fleet.supervisor.start()
    yield fleet
    await fleet.supervisor.stop()


def _end_runner(deck: Deck, session_id: str) -> None:
    pid = launch.holder(deck.ctx.home.session(session_id))
    if pid is not None:
        reaper.kill_descendants(pid, 0.0, session_id)
        subprocess.run(["kill", "-9", str(pid)], check=False)
    reaper.kill_marked(session_id)
