"""Changes for the rules to assess: real files, real commits, real diffs of real git."""

from pathlib import Path
from typing import Any

from app.git.clones import Clones
from app.git.diffs import diff
from app.git.gate import commits
from app.services.change import Change, Risk
from app.services.risks import risks
from app.services.sides import binary_bytes, read_sides
from tests.app.git.shell import plain_git

Files = dict[str, str | bytes]


class Bench:
    """A repository to commit to, which is its own gate.git."""

    def __init__(self, place: Path) -> None:
        self.tree = place / "tree"
        self.clones = Clones(self.tree, place)
        self.tree.mkdir(parents=True)
        plain_git(place, "init", "-q", "--bare", "-b", "main", "gate.git")

    def git(self, *args: str, env: dict[str, str] | None = None) -> str:
        where = {"GIT_DIR": str(self.clones.gate), "GIT_WORK_TREE": str(self.tree)}
        return plain_git(self.tree, *args, env=where | (env or {}))

    def write(self, files: Files) -> None:
        for name, content in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, author: str = "maple") -> str:
        self.git("add", "-A")
        env = {"GIT_AUTHOR_NAME": author, "GIT_AUTHOR_EMAIL": f"{author}@quarterdeck.invalid"}
        self.git("commit", "-q", "--allow-empty", "-m", "work", env=env)
        return self.git("rev-parse", "HEAD")

    def between(self, base: str, head: str, **more: Any) -> Change:
        files = diff(self.clones, base, head)
        given = {
            "commits": commits(self.clones, base, head),
            "authors": frozenset({"maple@quarterdeck.invalid"}),
            "binary_bytes": binary_bytes(self.clones, list(files)),
            "sides": read_sides(self.clones, list(files)),
        }
        return Change(files=files, **(given | more))

    def change(
        self, before: Files, after: Files, gone: tuple[str, ...] = (), **more: Any
    ) -> Change:
        """From a commit that has `before` to one where `after` is written and `gone` is not."""
        self.write(before)
        base = self.commit()
        self.write(after)
        for name in gone:
            (self.tree / name).unlink()
        return self.between(base, self.commit(), **more)


def told(change: Change) -> dict[str, list[str]]:
    """What all rules say, by kind."""
    found: dict[str, list[str]] = {}
    for risk in risks(change):
        found.setdefault(risk.kind, []).append(risk.says)
    return found


def only(change: Change, kind: str) -> Risk:
    """The one risk of a kind."""
    (found,) = [risk for risk in risks(change) if risk.kind == kind]
    return found
