"""Who conflicts with whom: many pairs of commits merged by one git, nothing of it kept.

What the merges write (merged files, trees) goes to a directory in memory that is thrown away, so
looking at a thousand pairs a minute leaves nothing in gate.git and does not wait for a disk.
"""

import shutil
import signal
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from app.git.clones import Clones, quoted_path
from app.git.merging import merge_tree
from app.git.names import path_text
from app.git.run import OID, Completed, require_oid, run_git

Pair = tuple[str, str]
Clash = tuple[str, ...] | None  # the paths that conflict, () where git can't say; None: it merges

_AT_ONCE = 250  # pairs; bounds what the scratch directory holds
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 1 << 30  # must be free there
# git's own refusal, and the ways in which it breaks down
_GAVE_UP = (1, 128, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS)


def clashes(clones: Clones, pairs: Iterable[Pair]) -> dict[Pair, Clash]:
    """How each pair of commits merges, as `git merge` of the two in a checkout would.

    A pair with a commit that is not there, or that git breaks down on, is () : never "merges".
    """
    asked = [(require_oid(one), require_oid(other)) for one, other in dict.fromkeys(pairs)]
    found: dict[Pair, Clash] = {}
    for at in range(0, len(asked), _AT_ONCE):
        some = asked[at : at + _AT_ONCE]
        found.update(zip(some, _merged(clones, some), strict=True))
    return found


def trees(clones: Clones, commits: Iterable[str]) -> dict[str, str]:
    """The tree of each commit that is there."""
    asked = list(commits)
    if not asked:
        return {}
    done = run_git(
        ["cat-file", "--batch-check=%(objectname)"],
        git_dir=clones.gate,
        stdin="".join(f"{require_oid(sha)}^{{tree}}\n" for sha in asked).encode(),
    )
    answers = zip(asked, done.text.splitlines(), strict=True)
    return {sha: tree for sha, tree in answers if OID.fullmatch(tree)}


def _merged(clones: Clones, pairs: Sequence[Pair]) -> list[Clash]:
    """In order. Where git breaks down over a pair, the halves are tried until it stands alone."""
    for root in _scratch_roots(clones):
        with tempfile.TemporaryDirectory(dir=root, prefix="quarterdeck-radar-") as scratch:
            done = _merge_tree(clones, pairs, Path(scratch))
        if done.returncode == 0:
            return _answers(clones, pairs, done.stdout)
    if len(pairs) == 1:
        return [()]
    half = len(pairs) // 2
    return _merged(clones, pairs[:half]) + _merged(clones, pairs[half:])


def _scratch_roots(clones: Clones) -> list[Path]:
    """Memory where there is plenty; beside the clones where there is not, or it did not do."""
    roots = [clones.directory]
    with suppress(OSError):
        if shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES:
            roots.insert(0, _MEMORY)
    return roots


def _merge_tree(clones: Clones, pairs: Sequence[Pair], scratch: Path) -> Completed:
    return run_git(
        [
            *("-c", "core.looseCompression=0", "merge-tree", "--write-tree", "--stdin"),
            *("--name-only", "--no-messages", "--allow-unrelated-histories"),
        ],
        git_dir=clones.gate,
        env={
            "GIT_OBJECT_DIRECTORY": str(scratch),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted_path(clones.gate / "objects"),
        },
        stdin="".join(f"{one} {other}\n" for one, other in pairs).encode(),
        accept=(0, *_GAVE_UP),
        timeout_seconds=120,
    )


def _answers(clones: Clones, pairs: Sequence[Pair], output: bytes) -> list[Clash]:
    """Git's records: `1 TREE` where it merges, `0 TREE PATH...` where not, each closed by ""."""
    fields = [path_text(field) for field in output.split(b"\0")]
    found: list[Clash] = []
    at = 0
    for pair in pairs:
        end = fields.index("", at + 2)
        if fields[at] == "1":
            found.append(None)
        else:
            paths = fields[at + 2 : end] or _by_messages(clones, pair)
            found.append(tuple(dict.fromkeys(_plain(path, pair) for path in paths)))
        at = end + 1
    return found


def _by_messages(clones: Clones, pair: Pair) -> list[str]:
    """Where no file is left unmerged (a folder renamed to two), only git's words name the path."""
    return [conflict.path for conflict in merge_tree(clones, *pair).conflicts]


def _plain(path: str, pair: Pair) -> str:
    """The path itself, where git set a file aside under its side's name."""
    for sha in pair:
        path = path.removesuffix(f"~{sha}")
    return path
