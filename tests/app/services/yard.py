"""A yard: a real repository, branches of it as merge requests, checks that really run."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from threading import Event

from app.git.cloning import sync
from app.models import Batch, Check, Landing, MergeRequest, Repository
from app.models.base import utc_now
from app.services import check_runs, preflight, queue
from app.services.context import Context
from app.services.refreshing import Refresher
from app.services.repositories import add_repository, clones_of
from app.store import batches, merge_requests
from app.store import checks as check_store

COMMAND = "test ! -e bad"


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=path, check=True, timeout=30, capture_output=True, text=True
    )
    return done.stdout.strip()


class Yard:
    """One repository and its merge queue, worked by hand: nothing happens by itself."""

    def __init__(
        self, ctx: Context, path: Path, *, command: str = COMMAND, merge: str = "merge"
    ) -> None:
        self.ctx, self.path, self.refresher = ctx, path, Refresher()
        path.mkdir(parents=True)
        git(path, "init", "-q", "-b", "main")
        config = f'merge = "{merge}"\n[check]\ncommand = "{command}"\n'
        self.human_commits({"quarterdeck.toml": config, "a": "a\n"})
        self.repository: Repository = add_repository(ctx, path=str(path))

    def human_commits(self, files: Mapping[str, str | None]) -> str:
        """Somebody else moves the base; None deletes a file."""
        git(self.path, "checkout", "-q", "-B", "main", *(["main"] if self._has_main() else []))
        return self._commit(files, "human")

    def request(self, files: Mapping[str, str | None], start: str = "main") -> int:
        """A merge request, open and preflighted, whose branch has these files."""
        head = self._branch(files, start)
        sync(clones_of(self.ctx, self.repository))
        with self.ctx.db.write() as db:
            row = MergeRequest(
                repository_id=self.repository.id or 0,
                title=f"Write {', '.join(files)}",
                branch="side",
                base_branch="main",
                head_sha=head,
                base_sha="",
            )
            db.add(row)
        preflight.preflight(self.ctx, row.id or 0)
        return row.id or 0

    def new_head(self, number: int, files: Mapping[str, str | None]) -> None:
        """Its author commits: a new round, the approval is void."""
        head = self._branch(files, self.get(number).head_sha)
        sync(clones_of(self.ctx, self.repository))
        with self.ctx.db.write() as db:
            row = db.get_one(MergeRequest, number)
            row.head_sha, row.round, row.approved_sha, row.state = head, row.round + 1, "", "open"
            db.add(row)
        preflight.preflight(self.ctx, number)

    def approve(self, *numbers: int, **more: object) -> None:
        """As the human's verdict leaves it; its own gate is tested elsewhere."""
        for number in numbers:
            with self.ctx.db.write() as db:
                row = db.get_one(MergeRequest, number)
                row.state, row.approved_sha, row.decided_at = "approved", row.head_sha, utc_now()
                row.is_forced, row.state_reason = False, ""
                for name, value in more.items():
                    setattr(row, name, value)
                db.add(row)

    def run_checks(self, *, of_batches: bool = False) -> int:
        """Run what is queued; how many commands ran."""
        with self.ctx.db.read() as db:
            queued = [
                check
                for check in check_store.in_flight(db)
                if not of_batches
                or any(c.batch_id for c in (check, *check_store.copies(db, check.id or 0)))
            ]
        for check in queued:
            check_runs.run_check(self.ctx, check.id or 0, Event())
        return len(queued)

    def settle(self) -> int:
        """Steps and checks until nothing moves; how many commands ran for trains."""
        ran = 0
        for _ in range(50):
            before = self.picture()
            queue.step(self.ctx)
            self.refresher.refresh_stale(self.ctx)
            now = self.run_checks(of_batches=True)
            ran += now
            if not now and self.picture() == before:
                return ran
        raise AssertionError("the queue never comes to rest")

    def picture(self) -> object:
        with self.ctx.db.read() as db:
            rows = [(r.id, r.state, r.base_sha) for r in self.requests()]
            return rows, [(b.id, b.state, b.good, b.bad) for b in batches.of_queue(db)]

    def requests(self) -> list[MergeRequest]:
        with self.ctx.db.read() as db:
            both = merge_requests.open_ones(db) + merge_requests.closed(db, 1000)
        return [r for r in both if r.repository_id == self.repository.id]

    def get(self, number: int) -> MergeRequest:
        with self.ctx.db.read() as db:
            return db.get_one(MergeRequest, number)

    def states(self, *numbers: int) -> list[str]:
        return [self.get(number).state for number in numbers]

    def trains(self) -> list[Batch]:
        """Newest first."""
        with self.ctx.db.read() as db:
            return batches.of_queue(db)

    def landings(self) -> list[Landing]:
        with self.ctx.db.read() as db:
            return merge_requests.landings_in(db, ("done",))

    def check_of(self, train: Batch) -> Check:
        with self.ctx.db.read() as db:
            found = batches.check_of(db, train.id or 0, train.tree_sha)
        assert found is not None
        return found

    def base(self) -> str:
        return git(self.path, "rev-parse", "main")

    def files(self, commit: str = "main") -> set[str]:
        return set(git(self.path, "ls-tree", "-r", "--name-only", commit).splitlines())

    def _branch(self, files: Mapping[str, str | None], start: str) -> str:
        git(self.path, "checkout", "-q", "-B", "side", start)
        try:
            return self._commit(files, f"Write {', '.join(files)}")
        finally:
            git(self.path, "checkout", "-q", "main")

    def _commit(self, files: Mapping[str, str | None], message: str) -> str:
        for name, content in files.items():
            if content is None:
                (self.path / name).unlink()
            else:
                (self.path / name).write_text(content)
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.path, "rev-parse", "HEAD")

    def _has_main(self) -> bool:
        return bool(git(self.path, "branch", "--list", "main"))
