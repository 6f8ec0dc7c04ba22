"""Merging in gate.git without a checkout: merge commits, reverts, conflicts."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from app.errors import MergeConflict, NothingToMerge
from app.git.clones import Clones
from app.git.gate import is_ancestor
from app.git.names import path_argument, path_text
from app.git.repositories import QUARTERDECK, Identity
from app.git.run import require_oid, run_git

Strategy = Literal["merge", "squash", "rebase"]


class Conflict(msgspec.Struct, frozen=True):
    """One path that does not merge. `kind` is git's word: contents, modify/delete, add/add, …"""

    path: str
    kind: str


class MergeOutcome(msgspec.Struct, frozen=True):
    """What merging two commits gives. `tree` is None where it conflicts."""

    tree: str | None
    conflicts: tuple[Conflict, ...] = ()
    marked_tree: str = ""  # the tree with conflict markers in its files, where it conflicts


def merge_tree(clones: Clones, ours: str, theirs: str) -> MergeOutcome:
    """Merge two commits as `git merge` would, writing objects only."""
    done = run_git(
        [
            *("merge-tree", "--write-tree", "-z", "--messages", "--allow-unrelated-histories"),
            *(require_oid(ours), require_oid(theirs)),
        ],
        git_dir=clones.gate,
        accept=(0, 1),
    )
    fields = [path_text(field) for field in done.stdout.split(b"\0")]
    if done.returncode == 0:
        return MergeOutcome(fields[0])
    end = fields.index("", 1)
    kinds = _kinds(fields[end + 1 :])
    staged = dict.fromkeys(field.partition("\t")[2] for field in fields[1:end])
    paths = staged | dict.fromkeys(path for path in kinds if path not in staged)
    conflicts = tuple(Conflict(path, kinds.get(path, "contents")) for path in paths)
    return MergeOutcome(None, conflicts, fields[0])


def _kinds(fields: list[str]) -> dict[str, str]:
    """Path to kind of conflict, from messages of the form: count, paths, kind, sentence."""
    kinds: dict[str, str] = {}
    at = 0
    while at < len(fields) and fields[at].isdigit():
        count = int(fields[at])
        paths, kind = fields[at + 1 : at + 1 + count], fields[at + 1 + count]
        if kind.startswith("CONFLICT ("):
            for path in paths[:1]:
                kinds.setdefault(path, kind[len("CONFLICT (") :].rstrip(")"))
        at += count + 3
    return kinds


def commit_tree(
    clones: Clones,
    tree: str,
    parents: Iterable[str],
    message: str,
    author: Identity,
    at: datetime,
    committer: Identity | None = None,
) -> str:
    """Write a commit; the same arguments give the same id (`at` counts in whole seconds)."""
    who = committer or author
    stamp = f"@{int(at.timestamp())} +0000"
    done = run_git(
        ["commit-tree", require_oid(tree), *(x for p in parents for x in ("-p", require_oid(p)))],
        git_dir=clones.gate,
        stdin=(message.replace("\0", "").rstrip("\n") + "\n").encode("utf-8", "replace"),
        env={
            "GIT_AUTHOR_NAME": plain_name(author.name),
            "GIT_AUTHOR_EMAIL": plain_name(author.email),
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_NAME": plain_name(who.name),
            "GIT_COMMITTER_EMAIL": plain_name(who.email),
            "GIT_COMMITTER_DATE": stamp,
        },
    )
    return done.text


def plain_name(text: str) -> str:
    """Git strips what can't stand in an identity line, and refuses an empty rest."""
    return "".join(c for c in text if c.isprintable() and c not in "<>").strip(" .,;:") or "unknown"


def merge_commit(
    clones: Clones,
    base: str,
    head: str,
    message: str,
    author: Identity,
    at: datetime,
    *,
    squash: bool = False,
    committer: Identity | None = None,
) -> str:
    """The commit that puts `head` onto `base`; deterministic. MergeConflict, NothingToMerge."""
    tree = merged_tree(clones, base, head)
    if squash and tree == tree_of(clones, base):
        raise NothingToMerge
    parents = (base,) if squash else (base, head)
    return commit_tree(clones, tree, parents, message, author, at, committer)


def merged_tree(clones: Clones, base: str, head: str) -> str:
    """The tree that `head` merged into `base` gives. MergeConflict, NothingToMerge."""
    if is_ancestor(clones, head, base):
        raise NothingToMerge
    return _clean(merge_tree(clones, base, head))


def revert_commit(
    clones: Clones,
    landed: str,
    base: str,
    message: str,
    author: Identity,
    at: datetime,
    *,
    before: str | None = None,
) -> str:
    """A commit on `base` that takes back what came from `before` to `landed`.

    Without `before` that is what `landed` changed against its first parent.
    """
    trees = [tree_of(clones, commit) for commit in (landed, base, before or landed + "^1")]
    tree = _clean(merge_trees(clones, *trees))
    if tree == trees[1]:
        raise NothingToMerge
    return commit_tree(clones, tree, (base,), message, author, at)


def merge_trees(clones: Clones, fork: str, ours: str, theirs: str) -> MergeOutcome:
    """Merge two trees that both came from `fork`, whatever their commits' history is."""
    # three synthetic commits give merge-tree the merge base it needs (`--merge-base` is git 2.40)
    who, at = QUARTERDECK, datetime.fromtimestamp(0, UTC)
    root = commit_tree(clones, fork, (), "fork", who, at)
    sides = [commit_tree(clones, tree, (root,), "side", who, at) for tree in (ours, theirs)]
    return merge_tree(clones, *sides)


def _clean(outcome: MergeOutcome) -> str:
    if outcome.tree is None:
        raise MergeConflict(tuple(conflict.path for conflict in outcome.conflicts))
    return outcome.tree


def tree_of(clones: Clones, commit: str) -> str:
    """The tree id of a commit (or of its `^1`)."""
    require_oid(commit.removesuffix("^1"))
    args = ["rev-parse", "--verify", "--quiet", "--end-of-options", commit + "^{tree}"]
    return require_oid(run_git(args, git_dir=clones.gate).text)


def conflict_hunks(clones: Clones, outcome: MergeOutcome, limit_characters: int = 20_000) -> str:
    """The conflicting places of each file, with markers and line numbers, for the agent to read."""
    pieces: list[str] = []
    for conflict in outcome.conflicts:
        pieces.append(f"## {conflict.path} ({conflict.kind})")
        name = path_argument(conflict.path)
        done = run_git(
            ["cat-file", "blob", f"{require_oid(outcome.marked_tree)}:{name}"],
            git_dir=clones.gate,
            accept=(0, 128),
            limit_bytes=4 << 20,
        )
        pieces.extend(_marked(done.stdout.decode("utf-8", "replace").split("\n")))
    text = "\n".join(pieces)
    if len(text) > limit_characters:
        return (
            text[:limit_characters] + "\n… (cut; merge the base into your branch to see the rest)"
        )
    return text


def _marked(lines: list[str], around: int = 3) -> list[str]:
    wanted: set[int] = set()
    start = None
    for number, line in enumerate(lines):
        if line.startswith("<<<<<<< "):
            start = number
        elif line.startswith(">>>>>>> ") and start is not None:
            wanted.update(range(max(0, start - around), min(len(lines), number + around + 1)))
            start = None
    shown: list[str] = []
    for number in sorted(wanted):
        if number - 1 not in wanted:
            shown.append(f"@@ line {number + 1} @@")
        shown.append(lines[number])
    return shown
