"""Git as people and agents run it, for the tests of app/git."""

import os
import subprocess
from pathlib import Path

from app.git.clones import Clones
from app.git.snapshots import Worktree
from app.git.worktrees import sandbox_paths

MAIN = "refs/heads/main"


def plain_git(cwd: Path, *args: str, env: dict[str, str] | None = None, ok: bool = True) -> str:
    """Git as a person or an agent would run it; the output, stripped of its last newline."""
    done = subprocess.run(
        ["git", *args],
        cwd=cwd,
        env=os.environ | (env or {}),
        capture_output=True,
        timeout=60,
        check=False,
    )
    if ok and done.returncode:
        raise AssertionError(done.stderr.decode())
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


def make_repository(path: Path) -> Path:
    """A small repository with two commits on main."""
    path.mkdir(parents=True)
    plain_git(path, "init", "-q", "-b", "main")
    (path / "README.md").write_text("# Sums\n\nOne\nTwo\nThree\nFour\nFive\n")
    (path / "src").mkdir()
    (path / "src" / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    (path / ".gitignore").write_text("*.pyc\nbuild/\n.env\n")
    plain_git(path, "add", "-A")
    plain_git(path, "commit", "-qm", "first")
    (path / "run.sh").write_text("#!/bin/sh\necho hi\n")
    (path / "run.sh").chmod(0o755)
    plain_git(path, "add", "-A")
    plain_git(path, "commit", "-qm", "second")
    return path


def agent_env(clones: Clones, worktree: Worktree) -> dict[str, str]:
    """What an agent's session has in its environment."""
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", worktree.agent), ("EMAIL", f"{worktree.agent}@agents"))
    }
    return sandbox_paths(clones, worktree).env | who


def agent_git(clones: Clones, worktree: Worktree, *args: str, ok: bool = True) -> str:
    """Git as the agent runs it in its worktree (without the box)."""
    return plain_git(worktree.path, *args, env=agent_env(clones, worktree), ok=ok)


def write(root: Path, files: dict[str, str]) -> None:
    """Write text files below a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def agent_commits(
    clones: Clones, worktree: Worktree, files: dict[str, str], message: str = "work"
) -> str:
    """Write files, commit them as the agent, return the commit's id."""
    write(worktree.path, files)
    agent_git(clones, worktree, "add", "-A")
    agent_git(clones, worktree, "commit", "-qm", message)
    return agent_git(clones, worktree, "rev-parse", "HEAD")


def human_commits(human: Path, files: dict[str, str], message: str = "human") -> str:
    """The same in the human's checkout."""
    write(human, files)
    plain_git(human, "add", "-A")
    plain_git(human, "commit", "-qm", message)
    return plain_git(human, "rev-parse", "HEAD")
