"""The conflict radar on a large repository: every pair of many branches, then one that changed.

The repository is made for the run: Python files, branches that edit some lines, signatures and
calls each, a part of them the same files. Bare `git merge-tree --stdin` runs over the same pairs in
a fresh clone on the same disk each time (what the radar's merges write goes to memory). The
radar's own pass holds everything from the query on the database to the stored row, symbols
included.
"""

import argparse
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from app.bench import Bar, Result
from app.git.clones import Clones, refs
from app.git.matrix import clashes
from app.models import MergeRequest, Repository
from app.server import open_context
from app.services import radar, repositories
from app.services.context import Context
from app.settings import Settings
from app.show import progress
from app.store import radar as store

TIMES_BARE = 2.0
CHANGED_MS = 100.0
FOLDER = 100  # files in each
EDITED = 21  # files of a branch
SHARED = 4  # of them among the first hundreds, where branches meet
POPULAR = 400


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=50_000)
    options.add_argument("--branches", type=int, default=50)
    options.add_argument("--repeat", type=int, default=5, help="runs of each measurement")
    return options


def run(options: argparse.Namespace) -> Result:
    """Compare the matrix with bare git, then time the radar's passes."""
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as place:
        settings = Settings(home=Path(place) / "home")
        settings.state.ensure()
        with open_context(settings) as ctx:
            progress(f"writing {options.files:,} files and {options.branches} branches ...")
            writer = _Writer(Path(place) / "human.git", options.files)
            writer.write(options.branches)
            added = repositories.add_repository(ctx, path=str(writer.path), base_branch="main")
            return _measure(ctx, added, writer, options)


def _measure(
    ctx: Context, added: Repository, writer: "_Writer", options: argparse.Namespace
) -> Result:
    clones = repositories.clones_of(ctx, added)
    heads = refs(clones.gate, "refs/human/heads/work/")
    pairs = list(combinations(heads.values(), 2))
    progress(f"merging {len(pairs):,} pairs ...")
    bare, ours = [], []
    for _ in range(options.repeat):
        bare.append(_bare_ms(clones, pairs))
        ours.append(_ms(lambda: clashes(clones, pairs)))
    for ref, sha in heads.items():
        _offer(ctx, added, ref.rpartition("/")[2], sha)
    progress("looking ...")
    first = _ms(lambda: radar.refresh(ctx))
    still, changed = [], []
    for number in range(options.repeat):
        still.append(_ms(lambda: radar.refresh(ctx)))
        writer.edit_again(clones.gate, number)
        _move(ctx, 1, refs(clones.gate, f"refs/heads/again-{number}").popitem()[1])
        changed.append(_ms(lambda: radar.refresh(ctx)))
    ratio = statistics.median(m / b for m, b in zip(ours, bare, strict=True))
    rows: list[tuple[object, ...]] = [
        (f"bare git merge-tree --stdin, {len(pairs):,} pairs", *_two(bare)),
        ("the matrix, same pairs", *_two(ours)),
        ("the radar's first pass: base, pairs, symbols, row", *_two([first])),
        ("its pass when nothing changed", *_two(still)),
        ("its pass after one branch changed", *_two(changed)),
    ]
    bars = [
        Bar("the matrix over bare git, median of runs", round(ratio, 2), TIMES_BARE, "times"),
        Bar("after one branch changed, median", _two(changed)[0], CHANGED_MS, "ms"),
    ]
    return Result(("what", "median ms", "worst ms"), rows, bars, [_found(ctx, added)])


def _found(ctx: Context, added: Repository) -> str:
    with ctx.db.read() as db:
        row = store.get(db, added.id or 0, "main")
    kinds = [each["kind"] for each in row.collisions] if row else []
    return f"found: {kinds.count('text')} pairs that conflict, {kinds.count('symbol')} with hints"


def _two(times: list[float]) -> tuple[float, float]:
    return round(statistics.median(times), 1), round(max(times), 1)


def _ms(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def _bare_ms(clones: Clones, pairs: list[tuple[str, str]]) -> float:
    command = ["git", "merge-tree", "--write-tree", "--stdin", "--name-only", "--no-messages"]
    asked = "".join(f"{one} {other}\n" for one, other in pairs).encode()
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bare-") as place:
        clone = ["git", "clone", "--quiet", "--mirror", str(clones.gate), place]
        subprocess.run(clone, check=True, timeout=120)
        git = subprocess.run
        return _ms(
            lambda: git(
                command, cwd=place, input=asked, stdout=subprocess.PIPE, check=True, timeout=600
            )
        )


def _offer(ctx: Context, added: Repository, branch: str, sha: str) -> None:
    with ctx.db.write() as db:
        row = MergeRequest(
            repository_id=added.id or 0,
            title=branch,
            branch=branch,
            base_branch="main",
            head_sha=sha,
            base_sha=sha,
        )
        db.add(row)


def _move(ctx: Context, request_id: int, sha: str) -> None:
    with ctx.db.write() as db:
        row = db.get_one(MergeRequest, request_id)
        row.head_sha = sha
        db.add(row)


class _Writer:
    """The repository, written by one git fast-import; the same for the same sizes."""

    def __init__(self, path: Path, files: int) -> None:
        self.path, self._files, self._random = path, files, random.Random(7)

    def write(self, branches: int) -> None:
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", self.path], check=True)
        texts = {self._name(n): self._text(n) for n in range(self._files)}
        stream = [self._commit("main", "", texts)]
        for number in range(branches):
            stream.append(self._commit(f"work/{number}", "refs/heads/main", self._edits()))
        _import(self.path, stream)

    def edit_again(self, gate: Path, number: int) -> None:
        """One more commit on the first branch, in gate.git."""
        origin = f"refs/heads/again-{number - 1}" if number else "refs/human/heads/work/0"
        edits = dict(list(self._edits().items())[:3])
        _import(gate, [self._commit(f"again-{number}", f"{origin}^0", edits)])

    def _edits(self) -> dict[str, str]:
        popular = min(POPULAR, self._files)
        chosen = self._random.sample(range(popular), SHARED)
        chosen += self._random.sample(range(self._files), EDITED - SHARED)
        return {self._name(n): self._text(n, self._random.randrange(30)) for n in chosen}

    def _name(self, number: int) -> str:
        return f"packages/p{number // FOLDER:04}/module_{number}.py"

    def _text(self, number: int, edited: int = -1) -> str:
        """Thirty functions; of the edited one the signature, and a call of another file's."""
        lines = []
        for part in range(30):
            more = ", extra=None" if part == edited else ""
            lines.append(f"def work_{number}_{part}(value, other=1{more}):")
            other = self._random.randrange(POPULAR) if part == edited else number
            lines.append(f"    return value + other + work_{other}_{(part + 1) % 30}(value)\n")
        return "\n".join(lines) + "\n"

    def _commit(self, branch: str, origin: str, texts: dict[str, str]) -> str:
        parts = [f"commit refs/heads/{branch}\ncommitter Bench <bench@localhost> 0 +0000"]
        parts.append(f"data {len(branch)}\n{branch}")
        if origin:
            parts.append(f"from {origin}")
        for name, text in texts.items():
            parts.append(f"M 100644 inline {name}\ndata {len(text)}\n{text}")
        return "\n".join(parts) + "\n"


def _import(git_dir: Path, stream: list[str]) -> None:
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=git_dir,
        input="".join(stream).encode(),
        check=True,
        timeout=600,
    )
