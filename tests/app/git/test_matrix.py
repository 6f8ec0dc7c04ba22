"""The matrix says of each pair what a real `git merge` in a checkout says."""

import os
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.git.clones import Clones
from app.git.cloning import sync
from app.git.gate import base_sha
from app.git.matrix import clashes, trees
from tests.app.git.shell import human_commits, plain_git, write

BASE = {
    "a.txt": "".join(f"line {n}\n" for n in range(12)),
    "b.txt": "".join(f"other {n}\n" for n in range(12)),
    "src/c.py": "".join(f"code {n}\n" for n in range(12)),
    "src/d.py": "".join(f"more {n}\n" for n in range(12)),
}
NAMES = [*BASE, "new.txt", "src/new.py", "lib/new.py", "lib"]
SUBMODULES = ["1" * 40, "2" * 40, "3" * 40]

name = st.sampled_from(NAMES)
edit = st.one_of(
    st.tuples(st.just("line"), name, st.integers(0, 11), st.sampled_from("xyz")),
    st.tuples(st.just("rename"), name, name),
    st.tuples(st.just("folder"), st.sampled_from(["lib", "source"])),
    st.tuples(st.just("delete"), name),
    st.tuples(st.just("mode"), name),
    st.tuples(st.just("binary"), name, st.integers(0, 3)),
    st.tuples(st.just("link"), name, name),
    st.tuples(st.just("add"), name, st.sampled_from("xyz")),
    st.tuples(st.just("submodule"), st.sampled_from(["sub", "lib"]), st.sampled_from(SUBMODULES)),
)
branches = st.lists(st.lists(edit, min_size=1, max_size=5), min_size=2, max_size=4)


def apply(root: Path, kind: str, *details: object) -> None:
    """One edit, as far as it is possible here; what is in the way is left alone."""
    path = root / str(details[0])
    try:
        if kind == "line" and path.is_file() and not path.is_symlink():
            lines = path.read_text().splitlines(keepends=True)
            lines[int(str(details[1])) % len(lines)] = f"changed {details[2]}\n"
            path.write_text("".join(lines))
        elif kind == "rename" and path.is_file() and not (root / str(details[1])).exists():
            (root / str(details[1])).parent.mkdir(exist_ok=True)
            path.rename(root / str(details[1]))
        elif kind == "folder" and (root / "src").is_dir() and not path.exists():
            (root / "src").rename(path)
        elif kind == "delete" and path.is_file():
            path.unlink()
        elif kind == "mode" and path.is_file() and not path.is_symlink():
            path.chmod(0o755)
        elif kind == "binary" and not path.is_dir():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(bytes([0, int(str(details[1]))]) * 40)
        elif kind == "link" and path.is_file():
            path.unlink()
            path.symlink_to(str(details[1]))
        elif kind == "add" and not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"added {details[1]}\n")
        elif kind == "submodule" and not path.exists():
            plain_git(root, "add", "-A")
            link = f"160000,{details[1]},{details[0]}"
            plain_git(root, "update-index", "--add", "--cacheinfo", link)
            path.mkdir()  # as a checkout has it: empty, not initialised
    except (OSError, UnicodeDecodeError, ZeroDivisionError):
        pass


def write_branches(human: Path, made: list[list[tuple[object, ...]]]) -> dict[str, str]:
    plain_git(human, "checkout", "-q", "main")
    write(human, BASE)
    plain_git(human, "add", "-A")
    link = f"160000,{'9' * 40},sub"
    plain_git(human, "update-index", "--add", "--cacheinfo", link)
    plain_git(human, "commit", "-qm", "base")
    heads = {}
    for number, edits in enumerate(made):
        plain_git(human, "checkout", "-q", "-f", "-b", f"b{number}", "main")
        for kind, *details in edits:
            apply(human, str(kind), *details)
        plain_git(human, "add", "-A", "--", ":!sub", ok=False)
        plain_git(human, "commit", "-q", "--allow-empty", "-m", f"b{number}")
        heads[f"b{number}"] = plain_git(human, "rev-parse", "HEAD")
        wipe(human)
    return heads


def wipe(root: Path) -> None:
    """Leave nothing but `.git`: git itself keeps what lies where a submodule should be."""
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name != ".git":
                shutil.rmtree(path)
        else:
            path.unlink()


def merged_for_real(human: Path, one: str, other: str) -> tuple[bool, set[str]]:
    """Whether `git merge` in a checkout succeeds, and the paths it leaves unmerged."""
    wipe(human)
    plain_git(human, "checkout", "-q", "-f", "--detach", one)
    plain_git(human, "reset", "-q", "--hard")
    done = subprocess.run(
        ["git", "merge", "-q", "--no-edit", other], cwd=human, capture_output=True, check=False
    )
    unmerged = plain_git(human, "diff", "--name-only", "--diff-filter=U", "-z")
    return done.returncode == 0, {path for path in unmerged.split("\0") if path}


def plain(paths: set[str] | tuple[str, ...]) -> set[str]:
    """A file set aside is `name~SIDE`: HEAD there, the commit here."""
    return {path.partition("~")[0] for path in paths}


def compare(human: Path, clones: Clones, heads: dict[str, str]) -> None:
    sync(clones)
    pairs = list(combinations(heads.values(), 2))
    found = clashes(clones, pairs)
    for one, other in dict.fromkeys(pairs):
        merges, unmerged = merged_for_real(human, one, other)
        clash = found[one, other]
        assert (clash is None) == merges, (clash, unmerged)
        if clash is not None and unmerged:
            assert plain(clash) == plain(unmerged)


HISTORIES: dict[str, list[list[tuple[object, ...]]]] = {
    "renamed and edited": [[("rename", "a.txt", "new.txt")], [("line", "a.txt", 3, "x")]],
    "renamed to two names": [
        [("rename", "a.txt", "new.txt")],
        [("rename", "a.txt", "src/new.py")],
    ],
    "modes": [[("mode", "a.txt")], [("mode", "a.txt"), ("line", "a.txt", 1, "x")]],
    "binaries": [[("binary", "a.txt", 1)], [("binary", "a.txt", 2)], [("binary", "a.txt", 1)]],
    "deleted and edited": [[("delete", "b.txt")], [("line", "b.txt", 0, "x")]],
    "added twice": [[("add", "new.txt", "x")], [("add", "new.txt", "y")]],
    "submodule to two commits": [
        [("submodule", "lib", SUBMODULES[0])],
        [("submodule", "lib", SUBMODULES[1])],
    ],
    "submodule and folder": [[("submodule", "lib", SUBMODULES[0])], [("add", "lib/new.py", "x")]],
    "a folder renamed, a file added to it": [[("folder", "lib")], [("add", "src/new.py", "x")]],
    "a folder renamed to two": [
        [("folder", "lib")],
        [("rename", "src/c.py", "source.py"), ("folder", "source")],
        [("add", "src/new.py", "x")],
    ],
    "a link for a file": [[("link", "a.txt", "b.txt")], [("line", "a.txt", 2, "y")]],
}


@pytest.mark.parametrize("history", HISTORIES)
def test_it_agrees_with_git_merge(human: Path, clones: Clones, history: str) -> None:
    compare(human, clones, write_branches(human, HISTORIES[history]))


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(
    max_examples=int(os.environ.get("QUARTERDECK_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(made=branches)
def test_it_agrees_on_generated_histories(
    human: Path, clones: Clones, made: list[list[tuple[object, ...]]]
) -> None:
    start = plain_git(human, "rev-parse", "main")
    try:
        compare(human, clones, write_branches(human, made))
    finally:
        wipe(human)
        plain_git(human, "checkout", "-q", "-f", "-B", "main", start)
        plain_git(human, "reset", "-q", "--hard")
        for number in range(len(made)):
            plain_git(human, "branch", "-qD", f"b{number}", ok=False)


def test_unrelated_histories_are_compared(human: Path, clones: Clones) -> None:
    plain_git(human, "checkout", "-q", "--orphan", "other")
    write(human, {"README.md": "Something else\n"})
    other = human_commits(human, {"x": "x"})
    sync(clones)
    assert "README.md" in (clashes(clones, [(base_sha(clones, "main"), other)]).popitem()[1] or ())


def test_a_commit_that_is_gone_spoils_no_other_pair(human: Path, clones: Clones) -> None:
    heads = list(write_branches(human, HISTORIES["added twice"]).values())
    sync(clones)
    gone = "0123456789" * 4
    found = clashes(clones, [(gone, heads[0]), (heads[0], heads[1]), (heads[1], heads[1])])
    assert found == {
        (gone, heads[0]): (),
        (heads[0], heads[1]): ("new.txt",),
        (heads[1], heads[1]): None,
    }
    assert trees(clones, [gone]) == {}


def test_a_pair_that_git_breaks_down_on_spoils_no_other(human: Path, clones: Clones) -> None:
    """A folder of a commit is lost: git dies in the middle of the list."""
    heads = list(
        write_branches(human, [[("add", "x", "x")], [("line", "src/c.py", 1, "y")]]).values()
    )
    sync(clones)
    listed = plain_git(clones.gate, "ls-tree", heads[0]).splitlines()
    lost = [x.replace(x.split()[2], "9" * 40) if x.endswith("src") else x for x in listed]
    tree = git_in(clones.gate, "\n".join(lost) + "\n", "mktree", "--missing")
    broken = plain_git(clones.gate, "commit-tree", tree, "-p", heads[0], "-m", "x")
    pairs = [(heads[0], heads[1]), (broken, heads[1]), (heads[1], heads[1])]
    assert list(clashes(clones, pairs).values()) == [None, (), None]


def git_in(cwd: Path, text: str, *args: str) -> str:
    command = ["git", *args]
    done = subprocess.run(command, cwd=cwd, input=text, text=True, capture_output=True, check=True)
    return done.stdout.strip()


def test_it_leaves_nothing_behind(human: Path, clones: Clones) -> None:
    heads = list(write_branches(human, HISTORIES["modes"]).values())
    sync(clones)
    before = sorted(clones.directory.rglob("*"))
    clashes(clones, [(heads[0], heads[1])])
    assert sorted(clones.directory.rglob("*")) == before
