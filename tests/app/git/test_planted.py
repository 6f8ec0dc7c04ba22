"""The planted-code matrix: an agent that controls its worktree and all of work.git runs nothing.

Each plant is first shown to fire under plain git, so that the silence afterwards means something.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import AppError
from app.git.box import can_box
from app.git.clones import Clones, agent_refs
from app.git.cloning import sync
from app.git.diffs import blob, diff, stat
from app.git.disposable import materialise
from app.git.gate import commits, fetch_branch
from app.git.landing import checkouts, follow_checkout, land
from app.git.leftovers import commit_leftovers, leftovers, tree_so_far
from app.git.matrix import clashes
from app.git.merging import merge_commit, merge_tree, revert_commit
from app.git.repositories import Identity, inspect
from app.git.snapshots import Worktree, snapshot
from app.git.worktrees import claim, delete_branch, prune, reap_locks, remove, restore, switch
from tests.app.git.shell import MAIN, agent_commits, agent_git, human_commits, plain_git, write

AT = datetime(2026, 1, 2, tzinfo=UTC)
WHO = Identity("Ada", "ada@example.org")
ATTRIBUTES = "* filter=evil diff=evil merge=evil\n"


class Ground:
    """Where a plant is planted: the agent's worktree, all of work.git, and a script that tells."""

    def __init__(self, clones: Clones, worktree: Worktree, fired: Path) -> None:
        self.clones, self.worktree, self.fired = clones, worktree, fired
        fired.mkdir()
        self.script = fired.parent / "payload.sh"
        self.script.write_text(
            f'#!/bin/sh\necho "$0 $*" >> {fired}/log\n'
            'case "$1" in cat) cat;; merge) exit 0;; text) cat "$2";; esac\nexit 0\n'
        )
        self.script.chmod(0o755)

    def config(self, *settings: str, file: Path | None = None) -> None:
        for setting in settings:
            key, _, value = setting.partition("=")
            target = file or self.clones.work / "config"
            plain_git(self.fired, "config", "--file", str(target), key, value)

    def attributes(self) -> None:
        (self.clones.work / "info").mkdir(exist_ok=True)
        (self.clones.work / "info" / "attributes").write_text(ATTRIBUTES)
        (self.worktree.path / ".gitattributes").write_text(ATTRIBUTES)

    def has_fired(self) -> bool:
        seen = (self.fired / "log").exists()
        (self.fired / "log").unlink(missing_ok=True)
        return seen


def fsmonitor(ground: Ground) -> None:
    ground.config(f"core.fsmonitor={ground.script}")


def include_path(ground: Ground) -> None:
    included = ground.fired.parent / "included"
    ground.config(f"core.fsmonitor={ground.script}", file=included)
    ground.config(f"include.path={included}")


def hooks_directory(ground: Ground) -> None:
    hooks = ground.clones.work / "hooks"
    hooks.mkdir(exist_ok=True)
    names = "pre-commit post-checkout post-merge post-index-change reference-transaction"
    for name in [*names.split(), "post-commit", "pre-merge-commit", "update", "pre-auto-gc"]:
        shutil.copy2(ground.script, hooks / name)


def hooks_path(ground: Ground) -> None:
    hooks = ground.fired.parent / "elsewhere"
    hooks.mkdir()
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        shutil.copy2(ground.script, hooks / name)
    ground.config(f"core.hooksPath={hooks}")


def filters(ground: Ground) -> None:
    ground.config(
        f"filter.evil.clean={ground.script} cat", f"filter.evil.smudge={ground.script} cat"
    )
    ground.config("filter.evil.required=true")
    ground.attributes()


def external_diff(ground: Ground) -> None:
    ground.config(f"diff.external={ground.script}")


def textconv(ground: Ground) -> None:
    ground.config(f"diff.evil.textconv={ground.script} text")
    ground.attributes()


def diff_command(ground: Ground) -> None:
    ground.config(f"diff.evil.command={ground.script}")
    ground.attributes()


def merge_driver(ground: Ground) -> None:
    ground.config(f"merge.evil.driver={ground.script} merge %O %A %B")
    ground.attributes()


def gpg(ground: Ground) -> None:
    ground.config(f"gpg.program={ground.script}", "commit.gpgSign=true", "user.signingKey=x")


def repointed_git_file(ground: Ground) -> None:
    own = ground.worktree.path / "own.git"
    shutil.copytree(ground.clones.work, own)
    ground.config(f"core.fsmonitor={ground.script}", "core.bare=false", file=own / "config")
    ground.config(f"core.worktree={ground.worktree.path}", file=own / "config")
    (ground.worktree.path / ".git").write_text(f"gitdir: {own}\n")


def worktree_config(ground: Ground) -> None:
    ground.config("extensions.worktreeConfig=true", "core.repositoryFormatVersion=1")
    own = ground.clones.admin("bo") / "config.worktree"
    ground.config("core.bare=false", f"core.fsmonitor={ground.script}", file=own)


def repointed_common_directory(ground: Ground) -> None:
    own = ground.worktree.path / "own.git"
    shutil.copytree(ground.clones.work, own)
    ground.config(f"core.fsmonitor={ground.script}", file=own / "config")
    (ground.clones.admin("bo") / "commondir").write_text(f"{own}\n")


def nested_repository(ground: Ground) -> None:
    nested = ground.worktree.path / "nested"
    nested.mkdir()
    plain_git(nested, "init", "-q")
    plain_git(nested, "commit", "-q", "--allow-empty", "-m", "inner")
    agent_git(ground.clones, ground.worktree, "add", "nested")  # a gitlink: status looks inside
    ground.config(f"core.fsmonitor={ground.script}", file=nested / ".git" / "config")


def rewritten_url(ground: Ground) -> None:
    ground.config(f"url.ext::{ground.script} .insteadOf=/", "protocol.ext.allow=always")


THE_TWELVE = (
    fsmonitor,
    include_path,
    hooks_directory,
    hooks_path,
    filters,
    external_diff,
    textconv,
    diff_command,
    merge_driver,
    gpg,
    repointed_git_file,
    worktree_config,
)
OURS = (repointed_common_directory, nested_repository, rewritten_url)
PLANTS = (*THE_TWELVE, *OURS)


@pytest.fixture
def ground(clones: Clones, worktree: Worktree, human: Path, tmp_path: Path) -> Ground:
    """An agent's branch with a commit that touches what the human changed too, and leftovers."""
    agent_commits(clones, worktree, {"src/sums.py": "def add(a, b):\n    return b + a\n"})
    human_commits(human, {"src/sums.py": "def add(a, b):\n    return sum((a, b))\n"})
    sync(clones)
    write(worktree.path, {"README.md": "changed\n", "untracked.txt": "new\n"})
    return Ground(clones, worktree, tmp_path / "fired")


def plain_commands(ground: Ground) -> None:
    """What a naive server would run, each allowed to fail."""
    work, tree, branch = ground.clones.work, ground.worktree.path, ground.worktree.branch
    env = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(ground.clones.objects("bo"))}
    side = ground.fired.parent / "side"
    for cwd, command in (
        (tree, ["status"]),
        (tree, ["diff"]),
        (work, ["diff", f"main...{branch}"]),
        (work, ["-c", "user.name=x", "merge-tree", "--write-tree", "main", branch]),
        (work, ["worktree", "add", "-f", str(side), "main"]),
        (side, ["commit", "--allow-empty", "-m", "x"]),
        (side, ["merge", "--no-edit", branch]),
        (work, ["fetch", str(ground.clones.human), "main"]),
    ):
        if cwd.is_dir():
            plain_git(cwd, *command, env=env, ok=False)


def our_operations(ground: Ground) -> list[Callable[[], object]]:
    """Everything app/git does about an agent's work, in the order of a task's life."""
    clones, worktree, branch = ground.clones, ground.worktree, ground.worktree.branch
    human, root, check = clones.human, worktree.path.parent, ground.fired.parent / "check"
    base = sync(clones)["main"]
    state: dict[str, str] = {"head": base, "merge": base, "kept": ""}

    def committed() -> None:
        commit_leftovers(clones, worktree, "leftovers", WHO, AT)

    def fetched() -> None:
        state["head"] = fetch_branch(clones, "bo", branch)

    def kept() -> None:
        state["kept"] = remove(clones, worktree).sha

    def merged() -> None:
        # conflicting on purpose, then with a branch that merges
        merge_tree(clones, base, state["head"])
        clashes(clones, [(base, state["head"])])
        first = commits(clones, base, state["head"])[-1].parents[0]
        state["merge"] = merge_commit(clones, first, state["head"], "Merge", WHO, AT)

    return [
        lambda: inspect(human),
        lambda: sync(clones),
        lambda: agent_refs(clones, "bo"),
        lambda: leftovers(clones, worktree),
        lambda: tree_so_far(clones, worktree),
        lambda: snapshot(clones, worktree, "planted", also=["*.pyc"]),
        committed,
        fetched,
        lambda: diff(clones, base, state["head"]),
        lambda: stat(clones, base, state["head"]),
        lambda: blob(clones, state["head"], "src/sums.py"),
        merged,
        lambda: revert_commit(clones, state["merge"], state["merge"], "Revert", WHO, AT),
        lambda: materialise(clones, state["merge"], check),
        lambda: reap_locks(clones, "bo"),
        lambda: claim(clones, "bo", "qd/bo/second", base, root),
        lambda: switch(clones, worktree, branch),
        lambda: prune(clones),
        kept,
        lambda: restore(clones, state["kept"], root),
        lambda: claim(clones, "bo", "qd/bo/third", base, root),
        lambda: delete_branch(clones, "bo", branch),
        lambda: checkouts(human, MAIN),
        lambda: land(clones, MAIN, state["merge"], base),
        lambda: follow_checkout(human, MAIN, base, state["merge"]),
    ]


@pytest.fixture
def no_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without bubblewrap, where a payload that runs is also seen to run."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "git-upload-pack", "env", "sh", "cat", "true"):
        (tools / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(tools))
    can_box.cache_clear()
    assert not can_box()
    yield
    can_box.cache_clear()


def fired_during(ground: Ground) -> tuple[int, int]:
    """How many of our operations ran a payload, and how many went through."""
    fired = done = 0
    for operation in our_operations(ground):
        with suppress(AppError):
            operation()
            done += 1
        fired += ground.has_fired()
    return fired, done


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_it_fires_with_plain_git(ground: Ground, plant: Callable[[Ground], None]) -> None:
    plant(ground)
    ground.has_fired()
    plain_commands(ground)
    assert ground.has_fired()


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
@pytest.mark.usefixtures("no_box")
def test_it_never_fires_with_ours(ground: Ground, plant: Callable[[Ground], None]) -> None:
    plant(ground)
    ground.has_fired()
    fired, done = fired_during(ground)
    assert fired == 0
    assert done >= 20  # the plants stop little


def test_all_plants_together_lose_nothing_and_fire_nothing(ground: Ground) -> None:
    for plant in (nested_repository, fsmonitor, hooks_directory, filters, merge_driver, gpg):
        plant(ground)
    ground.has_fired()
    kept = snapshot(ground.clones, ground.worktree, "planted")
    assert kept is not None
    assert blob(ground.clones, kept.sha, "untracked.txt").content == b"new\n"
    assert blob(ground.clones, kept.sha, "nested/dot-git.quarterdeck/HEAD").content
    fired, done = fired_during(ground)
    assert fired == 0
    assert done >= 20
