"""Reading in gate.git: agents' branches are fetched here, commits listed, ancestry answered."""

from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from app.errors import BranchVanished, GitError
from app.git.clones import BRANCHES, HUMAN, Clones, fetch_from_work, resolve
from app.git.names import HEADS, full_ref, require_branch
from app.git.run import OID, open_repository, require_oid, run_git

REQUESTS = "refs/quarterdeck/requests/"  # in gate.git: every round of every merge request


class Commit(msgspec.Struct, frozen=True):
    """One commit as a page shows it; text is hostile."""

    sha: str
    author: str
    email: str
    at: datetime  # author's, UTC
    subject: str
    body: str
    parents: tuple[str, ...] = ()


def gate_ref(agent: str, branch: str) -> str:
    """Where gate.git keeps this branch of the agent."""
    return f"{BRANCHES}{agent}/{require_branch(agent, branch)}"


def request_ref(merge_request_id: int, number: int) -> str:
    """Where gate.git keeps a round's commits for good, whatever becomes of the agent's branch."""
    return f"{REQUESTS}{merge_request_id}/{number}"


def fetch_branch(clones: Clones, agent: str, branch: str) -> str:
    """Fetch an agent's branch into gate.git and return its commit id; BranchVanished if gone."""
    ref = gate_ref(agent, branch)
    try:
        fetch_from_work(clones, agent, f"+{HEADS}{branch}:{ref}")
    except GitError as error:
        if "couldn't find remote ref" in error.detail:
            raise BranchVanished(branch) from error
        raise
    sha = resolve(clones.gate, ref)
    if sha is None:
        raise BranchVanished(branch)
    return sha


def base_sha(clones: Clones, branch: str) -> str:
    """The human's branch as last synced, without a process; BranchVanished if it is not there."""
    from git import SymbolicReference

    ref = f"{HUMAN}heads/{full_ref(branch).removeprefix(HEADS)}"
    with open_repository(clones.gate) as repository, suppress(ValueError):  # it is not there
        sha = SymbolicReference.dereference_recursive(repository, ref)
        if sha and OID.fullmatch(sha):
            return sha
    raise BranchVanished(branch)


def commits(clones: Clones, base: str, head: str, limit: int = 200) -> tuple[Commit, ...]:
    """What `head` has and `base` does not, newest first, at most `limit`."""
    span = f"{require_oid(base)}..{require_oid(head)}"
    with open_repository(clones.gate) as repository:
        return tuple(
            Commit(
                sha=found.hexsha,
                author=found.author.name or "",
                email=found.author.email or "",
                at=datetime.fromtimestamp(found.authored_date, UTC),
                subject=str(found.summary),
                body=str(found.message).partition("\n")[2].strip(),
                parents=tuple(parent.hexsha for parent in found.parents),
            )
            for found in repository.iter_commits(span, max_count=limit)
        )


def merge_base(clones: Clones, one: str, other: str) -> str | None:
    """The best common ancestor, or None for unrelated histories."""
    done = run_git(
        ["merge-base", require_oid(one), require_oid(other)], git_dir=clones.gate, accept=(0, 1)
    )
    return done.text or None


def is_ancestor(clones: Clones, ancestor: str, descendant: str) -> bool:
    """Whether `descendant` holds `ancestor` (a commit holds itself)."""
    args = ["merge-base", "--is-ancestor", require_oid(ancestor), require_oid(descendant)]
    return run_git(args, git_dir=clones.gate, accept=(0, 1)).returncode == 0
