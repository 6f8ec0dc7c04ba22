"""Rebasing without a checkout: a branch's commits put on a new base one by one, authors kept."""

from datetime import datetime

from app.git.clones import Clones
from app.git.merging import merge_trees, merged_tree, plain_name, tree_of
from app.git.repositories import Identity
from app.git.run import require_oid, run_git

MOST_COMMITS = 200
_KEPT = (b"author ", b"encoding ")


def replay(clones: Clones, base: str, head: str, committer: Identity, at: datetime) -> str | None:
    """The last of `head`'s commits, replayed onto `base`; deterministic.

    None where the replayed commits don't end in the very tree that a merge gives: one conflicts on
    its way, a merge commit resolved something, or there are too many. MergeConflict and
    NothingToMerge as for a merge.
    """
    wanted = merged_tree(clones, base, head)
    span = ["--reverse", "--topo-order", "--parents", f"^{require_oid(base)}", require_oid(head)]
    lines = run_git(["rev-list", *span], git_dir=clones.gate).text.splitlines()
    commits = [line.split() for line in lines]
    linear = [c for c in commits if len(c) == 2]  # itself, one parent
    if len(linear) > MOST_COMMITS or any(len(c) == 1 for c in commits):
        return None
    tip, tree = base, tree_of(clones, base)
    for commit, parent in linear:
        if parent == tip and len(linear) == len(commits):
            tip, tree = commit, tree_of(clones, commit)  # it stands there already, as `git rebase`
            continue
        outcome = merge_trees(clones, tree_of(clones, parent), tree, tree_of(clones, commit))
        if outcome.tree is None:
            return None
        if outcome.tree != tree:  # a change that the base has already leaves no empty commit
            tip = _recommit(clones, commit, outcome.tree, tip, _stamped(committer, at))
            tree = outcome.tree
    return tip if tree == wanted and tip != base else None


def _recommit(clones: Clones, commit: str, tree: str, parent: str, committer: bytes) -> str:
    """The same author, time and message on another tree and parent; a signature does not hold."""
    raw = run_git(["cat-file", "commit", commit], git_dir=clones.gate).stdout
    head, _, message = raw.partition(b"\n\n")
    kept = [line for line in head.split(b"\n") if line.startswith(_KEPT)]
    lines = [b"tree " + tree.encode(), b"parent " + parent.encode(), kept[0], committer, *kept[1:]]
    made = b"\n".join(lines) + b"\n\n" + message
    done = run_git(
        ["hash-object", "-t", "commit", "-w", "--stdin"], git_dir=clones.gate, stdin=made
    )
    return require_oid(done.text)


def _stamped(who: Identity, at: datetime) -> bytes:
    name, email = plain_name(who.name), plain_name(who.email)
    return f"committer {name} <{email}> {int(at.timestamp())} +0000".encode()
