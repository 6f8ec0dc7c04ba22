"""Runs the demo in a home of its own, thrown away and made anew each time."""

import os
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agents import launch, reaper
from agents.rehearsal.server import RehearsalServer
from app.client import Client
from app.demo.check import Play, Scene
from app.demo.stage import KEY, KEY_VARIABLE, make_project, set_stage
from app.lock import claim
from app.paths import Home
from app.server import serve
from app.services.context import Context
from app.settings import Settings
from app.show import line, progress, table


def run(settings: Settings, check: bool = False) -> int:
    """Serve the demo until stopped; with `check` drive it to its end and return 0 or 1."""
    home = Home(settings.home / ("demo-check" if check else "demo"))
    changes: dict[str, object] = {"home": home.path, "rehearsal": True, "database_url": ""}
    if check:
        changes["port"] = 0
    demo = settings.model_copy(update=changes)
    clear(home)
    os.environ[KEY_VARIABLE] = KEY
    with RehearsalServer() as rehearsal:
        project = make_project(home.path / "logbook")

        def prepare(ctx: Context) -> None:
            set_stage(ctx, project, rehearsal)

        if not check:
            serve(demo, ready=_tell, prepare=prepare)
            return 0
        return _drive(demo, prepare, project)


def _tell(address: str) -> None:
    line(f"Quarterdeck is at {address}")
    line("A demo: the agents, git and the checks are real, the model's replies are rehearsed.")
    line("Stop with Ctrl-C. To use your own accounts, run `quarterdeck` in a repository of yours.")


def _drive(demo: Settings, prepare: Callable[[Context], None], project: Path) -> int:
    """Play against the real server: it runs here, the play beside it stops it at the end."""
    scenes: list[Scene] = []

    def play() -> None:
        try:
            with Client(demo.state) as client:
                scenes.extend(Play(client, project, progress).run())
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    player = threading.Thread(target=play, name="play", daemon=True)
    try:
        serve(demo, ready=lambda _: player.start(), prepare=prepare)
    except KeyboardInterrupt:
        pass  # how uvicorn hands our own signal on
    finally:
        bury(demo.state)
    rows = [
        ("held" if s.held else "FAILED", s.name, s.promise, f"{s.seconds:.1f}", s.note)
        for s in scenes
    ]
    table(("", "scene", "promise", "at s", "seen"), rows, title="The demo, driven to its end")
    return 0 if scenes and all(scene.held for scene in scenes) else 1


def clear(home: Home) -> None:
    """Forget the last demo: end its runners, delete its home. ServerRunning where one is on."""
    if not home.path.exists():
        home.path.mkdir(mode=0o700, parents=True)
        return
    with claim(home):
        bury(home)
    shutil.rmtree(home.path)
    home.path.mkdir(mode=0o700)


def bury(home: Home) -> None:
    """End every runner of a home that is about to be thrown away."""
    for directory in home.sessions.glob("s-*"):
        pid = launch.holder(directory)
        if pid is not None:
            reaper.kill_descendants(pid, 0.0, directory.name)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reaper.kill_marked(directory.name)
