"""A repository with a check command, and trees, requests and trains to check, for the tests."""

import tempfile
from pathlib import Path
from threading import Event

from app.git.cloning import sync
from app.models import Batch, Check, MergeRequest
from app.services import check_runs, checks, repositories
from app.services.context import Context
from tests.app.factories import save
from tests.app.git.shell import plain_git


class Yard:
    """`command` is the repository's check; it runs for real."""

    def __init__(self, ctx: Context, place: Path, command: str, more: str = "") -> None:
        self.ctx, self.human = ctx, place / "yard"
        self.human.mkdir()
        plain_git(self.human, "init", "-q", "-b", "main")
        self.base = self.move_base(command, more)
        self.repository = repositories.add_repository(ctx, path=str(self.human))
        self.clones = repositories.clones_of(ctx, self.repository)

    def move_base(self, command: str, more: str = "") -> str:
        """A commit on main with this check; returns its id."""
        lines = f"[check]\ncommand = '''{command}'''\n{more}\n" if command else more
        (self.human / "quarterdeck.toml").write_text(lines)
        plain_git(self.human, "add", "-A")
        plain_git(self.human, "commit", "-qm", "check", "--allow-empty")
        if hasattr(self, "clones"):
            sync(self.clones)
        return plain_git(self.human, "rev-parse", "main")

    def tree(self, **files: str) -> str:
        """A tree of these files, in the clone that checks read."""
        with tempfile.TemporaryDirectory() as place:
            work = Path(place, "work")
            work.mkdir()
            for name, content in files.items():
                (work / name).write_text(content)
            where = {
                "GIT_DIR": str(self.clones.gate),
                "GIT_WORK_TREE": str(work),
                "GIT_INDEX_FILE": f"{place}/index",
            }
            plain_git(work, "add", "-A", env=where)
            return plain_git(work, "write-tree", env=where)

    def request(self, tree_sha: str, **more: object) -> MergeRequest:
        given = {
            "repository_id": self.repository.id,
            "title": "One more",
            "branch": "qd/otter/1",
            "base_branch": "main",
            "head_sha": self.base,
            "base_sha": self.base,
            "tree_sha": tree_sha,
        }
        return save(self.ctx, MergeRequest(**given | more))

    def batch(self, kind: str, state: str = "checking") -> Batch:
        row = Batch(
            repository_id=self.repository.id or 0, base_branch="main", kind=kind, state=state
        )
        return save(self.ctx, row)

    def want(self, request: MergeRequest) -> Check:
        """What preflight asks for it."""
        return self.ask(request.tree_sha, merge_request_id=request.id)

    def ask(self, tree_sha: str, **owner: int | None) -> Check:
        return checks.want(
            self.ctx,
            repository_id=self.repository.id or 0,
            base_sha=self.base,
            tree_sha=tree_sha,
            head_sha=self.base,
            **owner,
        )

    def run(self, check: Check, cancelled: Event | None = None) -> Check:
        """Run it here and now; returns it as it ended."""
        check_runs.run_check(self.ctx, check.id or 0, cancelled or Event())
        return self.now(check)

    def checked(self, **files: str) -> Check:
        """The verdict on a tree of these files."""
        return self.run(self.want(self.request(self.tree(**files))))

    def now(self, check: Check) -> Check:
        with self.ctx.db.read() as db:
            return db.get_one(Check, check.id)
