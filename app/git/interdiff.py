"""Interdiffs: what an author changed since a commit was looked at, whatever the base did meanwhile.

The commit that was looked at is merged onto the new base; what differs from that, the author did.
"""

import os
import tempfile
from pathlib import Path

import msgspec

from app.git.clones import Clones
from app.git.diffs import FileDiff, Limits, diff
from app.git.merging import merge_trees, tree_of
from app.git.names import path_argument
from app.git.run import require_oid, run_git


class Since(msgspec.Struct, frozen=True):
    """The changes; those of `unmerged` paths were compared as they were, the base's among them."""

    files: tuple[FileDiff, ...]
    unmerged: tuple[str, ...] = ()


def since(
    clones: Clones,
    seen_base: str,
    seen_head: str,
    base: str,
    head: str,
    limits: Limits | None = None,
) -> Since:
    """From what `seen_base..seen_head` would be on `base`, to `head`: both are merge bases."""
    trees = [tree_of(clones, commit) for commit in (seen_base, base, seen_head)]
    outcome = merge_trees(clones, *trees)
    if outcome.tree is not None:
        return Since(diff(clones, outcome.tree, head, limits))
    paths = tuple(dict.fromkeys(conflict.path for conflict in outcome.conflicts))
    expected = _with_files_of(clones, outcome.marked_tree, seen_head, paths)
    files = diff(clones, expected, head, limits)
    changed = {name for file in files for name in (file.path, file.old_path)}
    return Since(files, tuple(path for path in paths if path in changed))


def _with_files_of(clones: Clones, tree: str, commit: str, paths: tuple[str, ...]) -> str:
    """The tree with these paths as the commit has them (absent where it has none)."""
    names = [path_argument(path) for path in paths]
    listed = run_git(
        ["ls-tree", "-r", "-z", "--full-tree", require_oid(tree_of(clones, commit)), "--", *names],
        git_dir=clones.gate,
    )
    entries = [field for field in listed.stdout.split(b"\0") if field]
    removals = [b"0 %s\t%s" % (b"0" * 40, os.fsencode(name)) for name in names]
    with tempfile.TemporaryDirectory(dir=clones.directory, prefix="interdiff-") as place:
        env = {"GIT_INDEX_FILE": str(Path(place) / "index")}
        run_git(["read-tree", require_oid(tree)], git_dir=clones.gate, env=env)
        lines = b"".join(line + b"\0" for line in removals + entries)
        update = ["update-index", "-z", "--index-info"]
        run_git(update, git_dir=clones.gate, env=env, stdin=lines)
        done = run_git(["write-tree", "--missing-ok"], git_dir=clones.gate, env=env)
    return require_oid(done.text)
