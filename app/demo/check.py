"""Drives the demo to its end through the API, as a hurried captain would, and says what held."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client import Client, Refused
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
        self._scene("unseen", "care read: no approval before its diff was shown", self._unseen)
        self._scene("merged", "otter's work lands on main", lambda: self._merge("otter"))
        self._scene("asked", "heron waits for an answer, gets it, goes on", self._asked)
        self._scene("parked", "finch's limit parks it with a time", self._parked)
        self._scene("unticked", "care study: shown is not enough, files are ticked", self._unticked)
        self._scene("caught", "raven's broken tests are caught, no approval", self._caught)
        self._scene("rejected", "raven's branch is rejected, main untouched", self._rejected)
        self._scene("warned", "the radar names what collides while agents work", self._warned)
        self._scene("foreseen", "maple and cedar are told that they collide", self._foreseen)
        self._scene("coupled", "maple's and heron's work land as one train", self._coupled)
        self._scene("conflicted", "cedar's conflict with them goes back to it", self._conflicted)
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

    def _unseen(self) -> str:
        return self._refused(self._checked("otter"))

    def _unticked(self) -> str:
        request = self._request_of("raven")
        self._look(request, ticked=False)
        return self._refused(request)

    def _refused(self, request: Row) -> str:
        """What is said to an approval without the look that its care asks for."""
        missing = self._client.get(f"/reviews/{request['id']}/seen")["missing"]
        try:
            self._decide(request)
        except Refused as error:
            refusal = error
        else:
            raise AssertionError(f"a request of care {request['care']} was approved unseen")
        assert (refusal.code, bool(missing)) == ("not_seen", True), refusal
        assert all(path in str(refusal) for path in missing[:3]), refusal
        return str(refusal)

    def _merge(self, agent: str) -> str:
        request = self._checked(agent)
        self._approve(request)
        self._until_merged(request)
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

    def _warned(self) -> str:
        """Found in what at least one of them has not offered yet."""

        def collision() -> Row | None:
            (radar,) = self._client.get("/radar")
            members = {member["key"]: member for member in radar["members"]}
            for found in radar["collisions"]:
                two = [members[found["one"]], members[found["other"]]]
                names = {member["agent"] for member in two}
                if names == {"maple", "cedar"} and any(not m["merge_request_id"] for m in two):
                    return dict(found)
            return None

        found = self._wait(collision)
        return ", ".join([s["says"] for s in found["symbols"]] or found["paths"])

    def _foreseen(self) -> str:
        def overlap() -> Row | None:
            maple, cedar = self._request_of("maple"), self._request_of("cedar")
            return next(
                (o for o in maple["overlaps"] if o["merge_request_id"] == cedar["id"]), None
            )

        return ", ".join(self._wait(overlap)["paths"])

    def _coupled(self) -> str:
        """One is approved to land after the other, so neither sets off alone."""
        heron, maple = self._checked("heron"), self._checked("maple")
        self._approve(heron, after=[maple["id"]])
        self._approve(maple)
        self._until_merged(heron, maple)
        trains = self._client.get("/queue")["trains"]
        riders = [[step["merge_request_id"] for step in train["steps"]] for train in trains]
        assert [maple["id"], heron["id"]] in riders, f"the trains were {riders}"
        return f"#{maple['id']}, then #{heron['id']}, checked together"

    def _conflicted(self) -> str:
        cedar = self._request_of("cedar")
        self._wait(lambda: self._review(cedar["id"])["round"] > 1)
        return f"#{cedar['id']} offered a second round"

    def _resumed(self) -> str:
        request = self._request_of("finch")
        sessions = self._client.get("/sessions", agent="finch")
        assert len(sessions) == 1, "a second session was started"
        assert sessions[0]["launches"] == 2, f"{sessions[0]['launches']} launches"
        return f"#{request['id']} after {sessions[0]['launches']} launches"

    def _approve(self, request: Row, **conditions: Any) -> None:
        """After a look at all of its files, each ticked: its care level may ask for that."""
        self._look(request, ticked=True)
        self._decide(request, **conditions)

    def _look(self, request: Row, *, ticked: bool) -> None:
        self._client.get(f"/reviews/{request['id']}/diff")
        seen = {"head_sha": request["head_sha"], "ticked": ticked}
        self._client.post(f"/reviews/{request['id']}/seen", **seen)

    def _decide(self, request: Row, **conditions: Any) -> None:
        verdict = {"head_sha": request["head_sha"], **conditions}
        self._client.post(f"/reviews/{request['id']}/approve", **verdict)

    def _until_merged(self, *requests: Row) -> None:
        numbers = [request["id"] for request in requests]
        self._wait(lambda: {self._review(number)["state"] for number in numbers} == {"merged"})

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
