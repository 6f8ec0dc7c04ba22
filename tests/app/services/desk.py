"""A desk: a yard whose merge requests have authors, made and remade by shell commands."""

import subprocess
from typing import Any

from app.git.cloning import sync
from app.models import Decision, MergeRequest, Session, Task
from app.services import deciding, diffs, preflight, seen
from app.services.deciding import Gate
from app.services.repositories import clones_of
from app.store import merge_requests
from tests.app import factories
from tests.app.services.yard import Yard, git


class Desk(Yard):
    """One human's desk: what is offered, looked at, decided."""

    def work(self, commands: str, start: str = "main") -> str:
        """The commit that an author leaves who runs these on `start` and commits everything."""
        git(self.path, "checkout", "-q", "-f", "-B", "side", start)
        try:
            subprocess.run(["sh", "-ec", commands], cwd=self.path, check=True, timeout=60)
            return self._commit({}, commands)
        finally:
            git(self.path, "checkout", "-q", "-f", "main")
            sync(clones_of(self.ctx, self.repository))

    def offer(self, commands: str, start: str = "main", **more: Any) -> int:
        """A preflighted merge request of an agent whose session is stopped."""
        head = self.work(commands, start)
        task = factories.task(self.ctx, self.repository, commands[:40], state="review")
        agent = factories.agent(self.ctx, f"agent-{task.id}")
        session = factories.session(self.ctx, agent, task, state="stopped", activity="idle")
        given = {"head_sha": head, "base_sha": "", "care": ""} | more
        row = factories.merge_request(self.ctx, session, task, **given)
        return self.preflight(row.id or 0, **more)

    def renew(self, number: int, commands: str, start: str = "") -> str:
        """Its author goes on (or over, from `start`): a new round; its new head."""
        head = self.work(commands, start or self.get(number).head_sha)
        with self.ctx.db.write() as db:
            row = db.get_one(MergeRequest, number)
            row.head_sha, row.round, row.state = head, row.round + 1, "open"
            deciding.void_approval(row)
            db.add(row)
        self.preflight(number, care=self.get(number).care)
        return head

    def preflight(self, number: int, **more: Any) -> int:
        """Assess it; `more` columns are set afterwards, so that a test can choose the care."""
        sync(clones_of(self.ctx, self.repository))
        preflight.preflight(self.ctx, number)
        with self.ctx.db.write() as db:
            row = db.get_one(MergeRequest, number)
            for name, value in more.items():
                setattr(row, name, value)
            db.add(row)
        return number

    def verdict(self, number: int) -> dict[str, Any]:
        """What names the request at its present head."""
        return {"merge_request_id": number, "head_sha": self.get(number).head_sha}

    def look(self, number: int, *paths: str, ticked: bool = False) -> None:
        seen.note(self.ctx, **self.verdict(number), paths=paths or None, ticked=ticked)

    def gate(self, number: int) -> Gate:
        with self.ctx.db.read() as db:
            return deciding.gate(self.ctx, db, merge_requests.existing(db, number))

    def since(self, number: int) -> diffs.StoredDiff:
        found = diffs.since_seen(self.ctx, merge_request_id=number)
        assert found is not None
        return found

    def decisions(self, verb: str) -> list[Decision]:
        """Newest first."""
        with self.ctx.db.read() as db:
            return [row for row in merge_requests.decisions(db) if row.verb == verb]

    def session_of(self, number: int) -> Session:
        with self.ctx.db.read() as db:
            return db.get_one(Session, self.get(number).session_id)

    def task_of(self, number: int) -> Task:
        with self.ctx.db.read() as db:
            return db.get_one(Task, self.get(number).task_id)
