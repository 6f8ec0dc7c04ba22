"""The two clones of a human's repository: where they are, their lock, objects and refs in them.

Git never runs with `work.git` as its directory except to list and move refs (no hook, no filter, no
driver is involved in that), because an agent without a sandbox can write its configuration.
"""

import fcntl
import os
import shlex
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from app.errors import GitError, RepositoryBusy
from app.git.box import Box
from app.git.names import require_branch, require_name
from app.git.run import OID, ZERO, inherited, run_git

HUMAN = "refs/human/"  # in gate.git: the human's heads/ and tags/ as last fetched
COPIED = "refs/quarterdeck/work/"  # in gate.git: what of those work.git is known to hold
BRANCHES = "refs/quarterdeck/branches/"  # in gate.git: agents' branches as last fetched
SNAPSHOTS = "refs/quarterdeck/snapshots/"  # in gate.git: whole worktrees


class Clones(msgspec.Struct, frozen=True):
    """The human's repository and the directory that holds its clones."""

    human: Path
    directory: Path

    @property
    def work(self) -> Path:
        """The bare repository that agents' worktrees are linked from."""
        return self.directory / "work.git"

    @property
    def gate(self) -> Path:
        """The server's own bare repository: every diff and merge is computed in it."""
        return self.directory / "gate.git"

    def objects(self, agent: str) -> Path:
        """The directory where this agent's own objects go."""
        return self.directory / "objects" / require_name(agent)

    def index(self, agent: str) -> Path:
        """Our own index of the agent's worktree; the agent never writes it."""
        return self.directory / "index" / require_name(agent)

    def admin(self, agent: str) -> Path:
        """Git's directory for the agent's worktree, in work.git."""
        return self.work / "worktrees" / require_name(agent)

    def heads(self, agent: str) -> Path:
        """Where the agent's branches are, in work.git."""
        return self.work / "refs/heads/qd" / require_name(agent)

    def logs(self, agent: str) -> Path:
        """Where the agent's branches' reflogs are, in work.git."""
        return self.work / "logs/refs/heads/qd" / require_name(agent)


@contextmanager
def locked(clones: Clones, timeout_seconds: float = 120.0) -> Iterator[None]:
    """Hold the repository for one writer, across threads and processes; else RepositoryBusy."""
    deadline = time.monotonic() + timeout_seconds
    descriptor = os.open(clones.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RepositoryBusy from None
                time.sleep(0.01)
        with inherited(descriptor):
            yield
    finally:
        os.close(descriptor)


def upload_pack(clones: Clones, agent: str | None = None) -> str:
    """The command git fetches from work.git with, so that it finds the agent's own objects too."""
    if agent is None:
        return "git-upload-pack"
    variable = f"GIT_ALTERNATE_OBJECT_DIRECTORIES={quoted_path(clones.objects(agent))}"
    return f"env {shlex.quote(variable)} git-upload-pack"


def quoted_path(path: Path) -> str:
    """A path as an element of git's colon-separated list of object directories."""
    text = str(path)
    if ":" not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def fetch_from_work(clones: Clones, agent: str, *refspecs: str) -> None:
    """Fetch the agent's refs or commits into gate.git, checked, through upload-pack alone."""
    clear_planted(clones)
    own = clones.objects(agent)
    if (own / "info" / "alternates").is_symlink() or (own / "info" / "alternates").exists():
        # it could name object stores that the agent itself may not read
        raise GitError(f"{own}/info/alternates is not ours: delete it, then try again.")
    run_git(
        [
            "-c",
            "fetch.fsckObjects=true",
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            *("--no-recurse-submodules", f"--upload-pack={upload_pack(clones, agent)}"),
            *("--end-of-options", str(clones.work), *refspecs),
        ],
        git_dir=clones.gate,
        box=Box((clones.gate,), (clones.work, own)),
    )


def clear_planted(clones: Clones) -> None:
    """Remove what is no file among agents' refs: git would wait for ever on a pipe there."""
    for directory, names, files in os.walk(clones.work / "refs/heads/qd"):
        for name in (*names, *files):
            path = Path(directory) / name
            if not stat.S_ISREG(path.lstat().st_mode) and not stat.S_ISDIR(path.lstat().st_mode):
                path.unlink()


def agent_refs(clones: Clones, agent: str) -> dict[str, str]:
    """The agent's branches in work.git: short name to commit id."""
    prefix = f"refs/heads/qd/{require_name(agent)}/"
    clear_planted(clones)
    done = run_git(
        [
            *("ls-remote", f"--upload-pack={upload_pack(clones, agent)}"),
            *("--end-of-options", str(clones.work), f"{prefix}*"),
        ],
        git_dir=clones.gate,
        box=Box((), (clones.gate, clones.work, clones.objects(agent))),
    )
    found = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        oid, _, ref = line.partition("\t")
        if ref.startswith(prefix) and OID.fullmatch(oid):
            found[ref.removeprefix("refs/heads/")] = oid
    return found


def refs(git_dir: Path, prefix: str) -> dict[str, str]:
    """All refs of a clone below a prefix: full name to object id."""
    done = run_git(
        ["for-each-ref", "--format=%(objectname) %(refname)", "--end-of-options", prefix],
        git_dir=git_dir,
    )
    lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
    return {ref: oid for oid, _, ref in (line.partition(" ") for line in lines)}


def resolve(git_dir: Path, ref: str) -> str | None:
    """The commit a full ref or id names, or None."""
    done = run_git(
        ["rev-parse", "--verify", "--quiet", "--end-of-options", ref + "^{commit}"],
        git_dir=git_dir,
        accept=(0, 1, 128),
    )
    return done.text if done.returncode == 0 and OID.fullmatch(done.text) else None


def update_refs(git_dir: Path, moves: Iterable[tuple[str, str, str | None]]) -> None:
    """Move refs, all or none, by (full ref, new, old): new ZERO deletes; old None is any value."""
    lines = []
    for ref, new, old in moves:
        tail = "" if old is None else f"{old}\0"
        lines.append(
            f"delete {ref}\0{tail or chr(0)}"
            if new == ZERO
            else f"update {ref}\0{new}\0{tail or chr(0)}"
        )
    if lines:
        fed = "".join(lines).encode("utf-8", "surrogateescape")
        run_git(["update-ref", "--no-deref", "--stdin", "-z"], git_dir=git_dir, stdin=fed)


def move_agent_ref(clones: Clones, agent: str, branch: str, new: str, old: str | None) -> None:
    """Move an agent's branch in work.git, with no more rights than the agent's own session has."""
    require_branch(agent, branch)
    for directory in (clones.heads(agent), clones.logs(agent)):
        directory.mkdir(parents=True, exist_ok=True)
    run_git(
        ["update-ref", "--no-deref", "--end-of-options", f"refs/heads/{branch}", new]
        + ([] if old is None else [old]),
        git_dir=clones.work,
        # the objects live with the agent: ref updates check that they are there
        env={"GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted_path(clones.objects(agent))},
        box=Box((clones.heads(agent), clones.logs(agent)), (clones.work, clones.objects(agent))),
    )


def copy_objects(clones: Clones, wants: Iterable[str], haves: Iterable[str]) -> None:
    """Copy what `wants` reaches and `haves` does not from gate.git to work.git's objects."""
    revisions = "".join([*(f"{w}\n" for w in wants), *(f"^{h}\n" for h in haves)]).encode()
    with tempfile.TemporaryFile(dir=clones.directory) as pack:
        run_git(
            ["pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset"],
            git_dir=clones.gate,
            stdin=revisions,
            stdout=pack,
            timeout_seconds=600,
        )
        pack.seek(0)
        run_git(
            ["index-pack", "--stdin"],
            git_dir=clones.gate,
            env={"GIT_OBJECT_DIRECTORY": str(clones.work / "objects")},
            stdin=pack,
            timeout_seconds=600,
        )


def place(path: Path, content: bytes, drafts: Path) -> None:
    """Put a file at a path by rename from `drafts`: a link there is replaced, not followed."""
    descriptor, draft = tempfile.mkstemp(dir=drafts, prefix=".quarterdeck-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(descriptor, 0o644)
    Path(draft).replace(path)
