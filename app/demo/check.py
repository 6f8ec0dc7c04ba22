"""Drives the demo to its end through the API, as a hurried captain would, and says what held."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client import Client
from app.errors import AppError

SECONDS = 120.0
LOOK_SECONDS = 0.1

Row = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """One thing the demo promises, and whether it came true."""

    name: str
    promise: str
    held: bool
    seconds: float
    note: str = ""


class Play:
    """The fleet as the API shows it, with the waits and verdicts of the play."""

    def __init__(self, client: Client, project: Path, tell: Callable[[str], None]) -> None:
        self._client, self._project, self._tell = client, project, tell
        self._begun = time.monotonic()
        self.scenes: list[Scene] = []

    def run(self) -> list[Scene]:
        """Every scene in order; one that fails does not stop the others."""
        self._scene("offered", "a merge request within 60 s", self._offered)
        self._scene("merged", "otter's work lands on main", lambda: self._merge("otter"))
        self._scene("asked", "heron waits for an answer, gets it, goes on", self._asked)
        self._scene("parked", "finch's limit parks it with a time", self._parked)
        self._scene("caught", "raven's broken tests are caught, no approval", self._caught)
        self._scene("rejected", "raven's branch is rejected, main untouched", self._rejected)
        self._scene("foreseen", "maple and cedar are told that they collide", self._foreseen)
        self._scene("conflicted", "maple lands, cedar's conflict goes back to it", self._conflicted)
        self._scene("resolved", "cedar resolves it and lands", lambda: self._merge("cedar"))
        self._scene("resumed", "finch resumes once and offers its work", self._resumed)
        return self.scenes

    def _scene(self, name: str, promise: str, act: Callable[[], str]) -> None:
        self._tell(f"{name}: {promise} ...")
        try:
            note, held = act(), True
        except (AppError, TimeoutError, AssertionError) as error:
            note, held = str(error) or type(error).__name__, False
        self.scenes.append(Scene(name, promise, held, time.monotonic() - self._begun, note))

    def _offered(self) -> str:
        request = self._wait(lambda: next(iter(self._client.get("/reviews")), None), 60.0)
        return f"#{request['id']} {request['title']}"

    def _merge(self, agent: str) -> str:
        request = self._checked(agent)
        self._approve(request)
        self._wait(lambda: self._review(request["id"])["state"] == "merged")
        return self._git("log", "-1", "--format=%h %s", "main")

    def _asked(self) -> str:
        asks = self._wait(lambda: self._client.get("/permissions"))
        self._client.post(f"/permissions/{asks[0]['id']}/answer", decision="allow")
        self._request_of("heron")
        return str(asks[0]["title"])

    def _parked(self) -> str:
        task = self._wait(lambda: self._task("finch", "parked"))
        assert task["parked_until"], "parked without a time to come back"
        return f"until {task['parked_until']}"

    def _caught(self) -> str:
        request = self._checked("raven", "failed")
        try:
            self._approve(request)
        except AppError as error:
            return str(error)
        raise AssertionError("a request with a failing check was approved")

    def _rejected(self) -> str:
        request, before = self._request_of("raven"), self._git("rev-parse", "main")
        self._client.post(
            f"/reviews/{request['id']}/reject", head_sha=request["head_sha"], reason="Tests fail."
        )
        assert self._review(request["id"])["state"] == "rejected"
        assert self._git("rev-parse", "main") == before
        return "Tests fail."

    def _foreseen(self) -> str:
        def overlap() -> Row | None:
            maple, cedar = self._request_of("maple"), self._request_of("cedar")
            return next(
                (o for o in maple["overlaps"] if o["merge_request_id"] == cedar["id"]), None
            )

        return ", ".join(self._wait(overlap)["paths"])

    def _conflicted(self) -> str:
        cedar = self._request_of("cedar")
        self._merge("maple")
        self._wait(lambda: self._review(cedar["id"])["round"] > 1)
        return f"#{cedar['id']} offered a second round"

    def _resumed(self) -> str:
        request = self._request_of("finch")
        sessions = self._client.get("/sessions", agent="finch")
        assert len(sessions) == 1, "a second session was started"
        assert sessions[0]["launches"] == 2, f"{sessions[0]['launches']} launches"
        return f"#{request['id']} after {sessions[0]['launches']} launches"

    def _approve(self, request: Row) -> None:
        self._client.post(f"/reviews/{request['id']}/approve", head_sha=request["head_sha"])

    def _checked(self, agent: str, state: str = "passed") -> Row:
        def found() -> Row | None:
            request = self._request_of(agent)
            return request if request["check"] == state else None

        row: Row = self._wait(found)
        return row

    def _request_of(self, agent: str) -> Row:
        def found() -> Row | None:
            mine = [r for r in self._client.get("/reviews") if r["agent"] == agent]
            return self._review(mine[0]["id"]) if mine else None

        row: Row = self._wait(found)
        return row

    def _review(self, request_id: int) -> Row:
        review: Row = self._client.get(f"/reviews/{request_id}")
        return review

    def _task(self, agent: str, state: str) -> Row | None:
        rows = self._client.get("/tasks")
        return next((r for r in rows if r["agent"] == agent and r["state"] == state), None)

    def _wait(self, look: Callable[[], Any], seconds: float = SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(LOOK_SECONDS)
        raise TimeoutError(f"not within {seconds:.0f} s")

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self._project,
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout.strip()
