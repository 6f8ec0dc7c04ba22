"""The two local clones of a human's repository: made with hardlinked objects, kept in step."""

import shutil
import time
from pathlib import Path

from app.errors import GitError, RepositoryRefused
from app.git.clones import (
    COPIED,
    HUMAN,
    Clones,
    clear_planted,
    copy_objects,
    locked,
    refs,
    update_refs,
)
from app.git.names import HEADS
from app.git.repositories import MARK, find, require_there
from app.git.run import ZERO, run_git

_CORE = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogAllRefUpdates = "
# what an agent's branch was moved away from is still in gate.git's reflog, for ever
GATE_CONFIG = _CORE + "always\n[gc]\n\tauto = 0\n\treflogExpire = never\n"
GATE_CONFIG += "\treflogExpireUnreachable = never\n[uploadpack]\n\tallowAnySHA1InWant = true\n"
WORK_CONFIG = _CORE + "true\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"


def prepare(path: Path, directory: Path) -> Clones:
    """The two clones of a repository below `directory`, made where they are missing, and synced."""
    clones = Clones(path, directory)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(clones):
        for name in ("index", "objects"):
            (directory / name).mkdir(exist_ok=True)
        if not clones.gate.is_dir():
            _make_gate(clones)
        if not clones.work.is_dir():
            _make_work(clones)
        _sync(clones)
    return clones


def sync(clones: Clones) -> dict[str, str]:
    """Bring the human's branches into both clones; returns branch to commit id."""
    with locked(clones):
        return _sync(clones)


def recover(clones: Clones, older_than_seconds: float = 60.0) -> tuple[Path, ...]:
    """Delete lock files that a killed git left in our clones; younger ones may be in use.

    Agents' own are `worktrees.reap_locks`; the human's repository is not touched.
    """
    long_ago = time.time() - older_than_seconds
    found = []
    with locked(clones):
        for directory in (clones.gate, clones.work, clones.directory / "index"):
            for path in directory.rglob("*.lock"):
                parts = path.relative_to(directory).parts
                is_agents = "qd" in parts or parts[0] == "worktrees"
                if not is_agents and path.is_file() and path.lstat().st_mtime < long_ago:
                    path.unlink(missing_ok=True)
                    found.append(path)
    return tuple(found)


def _sync(clones: Clones) -> dict[str, str]:
    require_there(clones.human)
    _fetch_from_human(clones)
    theirs = _human_refs(clones)
    copied = {ref.removeprefix(COPIED): oid for ref, oid in refs(clones.gate, COPIED).items()}
    shown = {n: oid for n, oid in theirs.items() if not (n + "/").startswith("heads/qd/")}
    wants = set(shown.values()) - set(copied.values())
    if wants:
        copy_objects(clones, wants, set(copied.values()))
    clear_planted(clones)
    present = refs(clones.work, "refs/")
    gone = copied.keys() - shown.keys()
    # deletions first: a branch `a` may have made room for `a/b`
    update_refs(clones.work, [(f"refs/{n}", ZERO, None) for n in gone if f"refs/{n}" in present])
    moved = {n: oid for n, oid in shown.items() if present.get(f"refs/{n}") != oid}
    update_refs(clones.work, [(f"refs/{n}", oid, None) for n, oid in moved.items()])
    update_refs(clones.gate, [(COPIED + name, ZERO, None) for name in gone])
    fresh = {n: oid for n, oid in shown.items() if copied.get(n) != oid}
    update_refs(clones.gate, [(COPIED + n, oid, None) for n, oid in fresh.items()])
    return {n.removeprefix("heads/"): o for n, o in theirs.items() if n.startswith("heads/")}


def _human_refs(clones: Clones) -> dict[str, str]:
    return {ref.removeprefix(HUMAN): oid for ref, oid in refs(clones.gate, HUMAN).items()}


def _fetch_from_human(clones: Clones) -> None:
    try:
        run_git(
            [
                *("fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--force"),
                *("--no-auto-maintenance", "--no-recurse-submodules", "--end-of-options"),
                str(clones.human),
                *(f"+refs/{kind}/*:{HUMAN}{kind}/*" for kind in ("heads", "tags")),
            ],
            git_dir=clones.gate,
            human=True,
            timeout_seconds=600,
        )
    except GitError as error:
        raise RepositoryRefused(
            f"{clones.human} can't be read: {error.message}", "see what `git fsck` says there"
        ) from error


def _clone(clones: Clones, target: Path, configuration: str) -> Path:
    draft = target.with_name(target.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    run_git(
        [
            *("clone", "--quiet", "--bare", "--local", "--template=", "--no-tags"),
            *("--end-of-options", str(clones.human), str(draft)),
        ],
        human=True,
        timeout_seconds=600,
    )
    (draft / "config").write_text(configuration)
    (draft / MARK).write_text("A clone made by Quarterdeck; the human's repository is elsewhere.\n")
    (draft / "info").mkdir(exist_ok=True)
    exclude = find(clones.human)[1] / "info/exclude"
    if exclude.is_file():
        shutil.copyfile(exclude, draft / "info/exclude")
    alternates = draft / "objects/info/alternates"
    if alternates.exists():  # the human's clone borrows objects; ours must stand alone
        run_git(["repack", "-a", "-d", "-q"], git_dir=draft, timeout_seconds=600)
        alternates.unlink()
    return draft


def _make_gate(clones: Clones) -> None:
    draft = _clone(clones, clones.gate, GATE_CONFIG)
    update_refs(draft, [(ref, ZERO, None) for ref in refs(draft, "refs/")])
    (draft / "HEAD").write_text(f"ref: {HEADS}none\n")
    draft.rename(clones.gate)


def _make_work(clones: Clones) -> None:
    draft = _clone(clones, clones.work, WORK_CONFIG)
    present = refs(draft, "refs/")
    ours = [ref for ref in present if (ref + "/").startswith(HEADS + "qd/")]
    update_refs(draft, [(ref, ZERO, None) for ref in ours])
    (draft / "worktrees").mkdir()
    _fetch_from_human(clones)
    known = set(_human_refs(clones).values())
    update_refs(
        clones.gate,
        [
            (COPIED + ref.removeprefix("refs/"), oid, None)
            for ref, oid in present.items()
            if oid in known and ref not in ours
        ],
    )
    draft.rename(clones.work)
