"""Worktrees from claim to removal: linked as git links them, recycled clean, nothing lost."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from app.errors import BranchExists, BranchRefused, BranchVanished, GitError, RepositoryBusy
from app.git.clones import SNAPSHOTS, Clones, agent_refs, locked
from app.git.cloning import recover, sync
from app.git.diffs import blob
from app.git.gate import fetch_branch
from app.git.snapshots import Worktree
from app.git.worktrees import (
    branches,
    claim,
    copy_files,
    delete_branch,
    problem,
    prune,
    reap_locks,
    remove,
    restore,
    sandbox_paths,
    switch,
    verify,
)
from tests.app.git.shell import agent_commits, agent_env, agent_git, human_commits, plain_git, write

needs_box = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


def status(clones: Clones, worktree: Worktree) -> str:
    return agent_git(clones, worktree, "status", "--porcelain", "-b", "--ignored")


def test_it_claims_a_worktree_that_git_knows(clones: Clones, worktree: Worktree, base: str) -> None:
    assert status(clones, worktree) == "## qd/bo/first-task"
    assert agent_git(clones, worktree, "rev-parse", "HEAD") == base
    assert os.access(worktree.path / "run.sh", os.X_OK)
    listed = plain_git(clones.work, "worktree", "list", "--porcelain")
    assert f"worktree {worktree.path}\nHEAD {base}\nbranch refs/heads/qd/bo/first-task" in listed
    plain_git(clones.work, "worktree", "prune")
    assert status(clones, worktree) == "## qd/bo/first-task"


def test_it_recycles_keeping_nothing_and_losing_nothing(
    clones: Clones, worktree: Worktree, base: str, root: Path
) -> None:
    sha = agent_commits(clones, worktree, {"done.txt": "done"})
    write(worktree.path, {"loose.txt": "loose", "build/junk": "j", "src/sums.py": "spoilt"})
    (worktree.path / "README.md").unlink()
    (worktree.path / "empty").mkdir()
    plain_git(worktree.path, "init", "-q", "inner")
    write(worktree.path, {"inner/file": "inner"})
    second = claim(clones, "bo", "qd/bo/second", base, root)
    assert second.path == worktree.path
    assert status(clones, second) == "## qd/bo/second"
    names = sorted(p.name for p in second.path.iterdir())
    assert names == [".git", ".gitignore", "README.md", "run.sh", "src"]
    assert fetch_branch(clones, "bo", worktree.branch) == sha
    kept = plain_git(clones.gate, "for-each-ref", "--format=%(objectname)", SNAPSHOTS)
    shown = plain_git(clones.gate, "ls-tree", "-r", "--name-only", kept)
    assert {"loose.txt", "inner/file", "done.txt"} <= set(shown.split("\n"))
    assert not {"README.md", "build/junk"} & set(shown.split("\n"))
    assert blob(clones, kept, "src/sums.py").content == b"spoilt"


def test_it_recycles_folders_without_the_write_bit(
    clones: Clones, worktree: Worktree, base: str, root: Path
) -> None:
    write(worktree.path, {"build/deep/file": "x"})
    (worktree.path / "build" / "deep").chmod(0o500)
    second = claim(clones, "bo", "qd/bo/second", base, root)
    assert not (second.path / "build").exists()


def test_it_refuses_a_branch_that_exists(
    clones: Clones, worktree: Worktree, base: str, root: Path
) -> None:
    agent_commits(clones, worktree, {"a": "a"})
    with pytest.raises(BranchExists, match="qd/bo/first-task exists already"):
        claim(clones, "bo", worktree.branch, base, root)
    assert (worktree.path / "a").exists()
    assert branches(clones, "bo") == {worktree.branch}


def test_it_finishes_a_claim_that_was_cut_short(
    clones: Clones, worktree: Worktree, base: str, root: Path
) -> None:
    shutil.rmtree(clones.admin("bo"))
    assert claim(clones, "bo", worktree.branch, base, root) == worktree
    assert status(clones, worktree) == "## qd/bo/first-task"


def test_it_refuses_a_base_that_vanished(clones: Clones, root: Path) -> None:
    with pytest.raises(BranchVanished, match="choose another base"):
        claim(clones, "bo", "qd/bo/x", "1" * 40, root)
    with pytest.raises(BranchRefused):
        claim(clones, "bo", "qd/eve/x", "1" * 40, root)
    assert not (root / "bo").exists()


def test_it_does_not_touch_what_is_no_directory(clones: Clones, base: str, root: Path) -> None:
    root.mkdir()
    (root / "elsewhere").mkdir()
    (root / "bo").symlink_to(root / "elsewhere")
    with pytest.raises(GitError, match="move it away"):
        claim(clones, "bo", "qd/bo/x", base, root)
    assert list((root / "elsewhere").iterdir()) == []


def test_it_switches_back_to_a_branch(
    clones: Clones, worktree: Worktree, base: str, root: Path
) -> None:
    sha = agent_commits(clones, worktree, {"a": "a"})
    second = claim(clones, "bo", "qd/bo/second", base, root)
    back = switch(clones, second, worktree.branch)
    assert (back.branch, back.path) == (worktree.branch, worktree.path)
    assert agent_git(clones, back, "rev-parse", "HEAD") == sha
    assert status(clones, back) == "## qd/bo/first-task"
    write(back.path, {"loose": "stays"})
    assert switch(clones, back, worktree.branch) == back  # already there: not a byte is touched
    assert (back.path / "loose").read_text() == "stays"
    with pytest.raises(BranchVanished):
        switch(clones, back, "qd/bo/none")


def test_it_mends_a_worktree_deleted_by_hand(
    clones: Clones, worktree: Worktree, base: str, root: Path
) -> None:
    sha = agent_commits(clones, worktree, {"a": "a"})
    shutil.rmtree(worktree.path)
    assert "was deleted or moved" in problem(clones, worktree)
    back = switch(clones, worktree, worktree.branch)
    assert problem(clones, back) == ""
    assert agent_git(clones, back, "rev-parse", "HEAD") == sha
    assert status(clones, back) == "## qd/bo/first-task"
    shutil.rmtree(worktree.path.parent)
    assert prune(clones) == ("bo",)
    assert agent_refs(clones, "bo") == {worktree.branch: sha}
    assert claim(clones, "bo", "qd/bo/second", base, root).path.is_dir()


def test_it_mends_a_worktree_cut_off(clones: Clones, worktree: Worktree) -> None:
    write(worktree.path, {"loose": "loose"})
    (worktree.path / ".git").unlink()
    assert "was cut off" in problem(clones, worktree)
    switch(clones, worktree, worktree.branch)
    assert status(clones, worktree) == "## qd/bo/first-task"
    kept = plain_git(clones.gate, "for-each-ref", "--format=%(objectname)", SNAPSHOTS)
    assert blob(clones, kept, "loose").content == b"loose"


CLAIMER = """
import sys
from pathlib import Path
from app.git.clones import Clones
from app.git.worktrees import claim
human, directory, branch, base, root = sys.argv[1:]
print("go", flush=True)
claim(Clones(Path(human), Path(directory)), "bo", branch, base, Path(root))
"""


def test_a_claim_killed_at_any_point_loses_nothing(
    clones: Clones, worktree: Worktree, base: str, root: Path
) -> None:
    for number, milliseconds in enumerate((5, 40, 80, 120, 160, 200)):
        write(worktree.path, {f"loose{number}": "loose"})
        branch = f"qd/bo/task{number}"
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", CLAIMER, str(clones.human), str(clones.directory)),
                *(branch, base, str(root)),
            ],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"go\n"
        with suppress(subprocess.TimeoutExpired):
            process.wait(milliseconds / 1000)
        with suppress(ProcessLookupError):  # it was done
            os.killpg(process.pid, signal.SIGKILL)  # with its git, which would hold its locks
        process.wait(10)
        process.stdout.close()
        recover(clones, older_than_seconds=0)
        reap_locks(clones, "bo")
        again = claim(clones, "bo", branch, base, root)
        assert status(clones, again) == f"## {branch}"
    kept = plain_git(clones.gate, "for-each-ref", "--format=%(objectname)", SNAPSHOTS).split()
    names = {plain_git(clones.gate, "ls-tree", "--name-only", sha) for sha in kept}
    for number in range(6):
        assert any(f"loose{number}" in shown for shown in names)
    plain_git(clones.gate, "fsck", "--strict")


def test_it_removes_with_an_undo(clones: Clones, worktree: Worktree, root: Path) -> None:
    sha = agent_commits(clones, worktree, {"a": "a"})
    write(worktree.path, {"loose.txt": "loose", "src/sums.py": "half done"})
    plain_git(worktree.path, "init", "-q", "inner")
    kept = remove(clones, worktree)
    assert not worktree.path.exists()
    assert not clones.admin("bo").exists()
    assert kept.head_sha == sha
    delete_branch(clones, "bo", worktree.branch)
    assert agent_refs(clones, "bo") == {}
    back = restore(clones, kept.sha, root)
    assert back == worktree
    assert agent_git(clones, back, "rev-parse", "HEAD") == sha
    expected = "## qd/bo/first-task\n M src/sums.py\n?? inner/\n?? loose.txt"
    assert status(clones, back) == expected
    assert (back.path / "inner" / ".git" / "HEAD").is_file()
    assert plain_git(clones.gate, "rev-parse", f"refs/quarterdeck/deleted/bo/first-task/{sha}")


def test_it_keeps_a_branch_that_a_worktree_stands_on(clones: Clones, worktree: Worktree) -> None:
    with pytest.raises(BranchExists):
        delete_branch(clones, "bo", worktree.branch)


def test_a_branch_moved_back_by_force_is_still_known(
    clones: Clones, worktree: Worktree, base: str
) -> None:
    first = agent_commits(clones, worktree, {"a": "a"})
    assert fetch_branch(clones, "bo", worktree.branch) == first
    agent_git(clones, worktree, "reset", "-q", "--hard", base)
    assert fetch_branch(clones, "bo", worktree.branch) == base
    reflog = plain_git(clones.gate, "reflog", "show", "refs/quarterdeck/branches/bo/first-task")
    assert first[:7] in reflog


def test_it_restores_beside_a_branch_that_went_on(
    clones: Clones, worktree: Worktree, root: Path
) -> None:
    old = agent_commits(clones, worktree, {"a": "a"})
    write(worktree.path, {"loose": "loose"})
    kept = remove(clones, worktree)
    again = switch(clones, worktree, worktree.branch)
    new = agent_commits(clones, again, {"b": "b"})
    back = restore(clones, kept.sha, root)
    assert back.branch.startswith("qd/bo/first-task-restored-")
    assert agent_git(clones, back, "rev-parse", "HEAD") == old
    assert status(clones, back) == f"## {back.branch}\n?? loose"
    assert agent_refs(clones, "bo")[worktree.branch] == new


def test_a_pipe_among_the_refs_stops_nothing(clones: Clones, worktree: Worktree) -> None:
    sha = agent_commits(clones, worktree, {"a": "a"})
    os.mkfifo(clones.heads("bo") / "pipe")
    assert fetch_branch(clones, "bo", worktree.branch) == sha
    os.mkfifo(clones.heads("bo") / "pipe")
    sync(clones)
    assert branches(clones, "nobody-yet") == frozenset()


def test_listed_ignored_files_are_kept(
    clones: Clones, worktree: Worktree, base: str, root: Path
) -> None:
    write(worktree.path, {".env": "KEY=1", "build/x": "x"})
    claim(clones, "bo", "qd/bo/second", base, root, keep_ignored=[".env"])
    kept = plain_git(clones.gate, "for-each-ref", "--format=%(objectname)", SNAPSHOTS)
    assert blob(clones, kept, ".env").content == b"KEY=1"


def test_it_copies_the_humans_local_files(clones: Clones, worktree: Worktree) -> None:
    human = clones.human
    write(human, {".env": "KEY=1", "conf/a.local": "a", "conf/b.local": "b", "outside": "x"})
    (human / "conf" / "link.local").symlink_to("/etc/passwd")
    assert copy_files(clones, worktree, [".env", "conf/*.local", "run.sh"]) == (
        ".env",
        "conf/a.local",
        "conf/b.local",
    )
    assert (worktree.path / "conf" / "a.local").read_text() == "a"
    # listed as ignored, so neither the agent nor we commit them by accident
    assert "?? conf" not in status(clones, worktree)
    with pytest.raises(BranchRefused):
        copy_files(clones, worktree, ["../secret"])


def test_it_does_not_copy_through_a_planted_link(
    clones: Clones, worktree: Worktree, tmp_path: Path
) -> None:
    (tmp_path / "victim").mkdir()
    write(clones.human, {"conf/a.local": "a"})
    (worktree.path / "conf").symlink_to(tmp_path / "victim")
    assert copy_files(clones, worktree, ["conf/*.local"]) == ()
    assert list((tmp_path / "victim").iterdir()) == []


def test_it_reaps_the_locks_of_the_dead(clones: Clones, worktree: Worktree) -> None:
    lock = clones.admin("bo") / "index.lock"
    lock.touch()
    assert agent_git(clones, worktree, "add", "-A", ok=False) == ""
    assert reap_locks(clones, "bo") == (lock,)
    agent_commits(clones, worktree, {"a": "a"})


def test_links_planted_in_the_agents_git_data_are_not_followed(
    clones: Clones, worktree: Worktree, base: str, root: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    admin = clones.admin("bo")
    for path in (admin / "index", admin / "HEAD", worktree.path / ".git"):
        path.unlink()
        path.symlink_to(victim)
    (clones.logs("bo") / "second").symlink_to(victim)
    (clones.heads("bo") / "second").symlink_to(victim)
    claim(clones, "bo", "qd/bo/third", base, root)
    assert victim.read_text() == "precious"


def test_agents_work_side_by_side(clones: Clones, base: str, root: Path) -> None:
    made: list[Worktree] = []

    def one(name: str) -> None:
        mine = claim(clones, name, f"qd/{name}/task", base, root)
        agent_commits(clones, mine, {f"{name}.txt": name})
        made.append(mine)

    threads = [threading.Thread(target=one, args=(f"a{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    for mine in made:
        assert fetch_branch(clones, mine.agent, mine.branch)
        assert verify(clones, mine.agent)
    plain_git(clones.gate, "fsck", "--strict")


def test_the_lock_is_bounded(clones: Clones) -> None:
    with locked(clones), pytest.raises(RepositoryBusy), locked(clones, timeout_seconds=0.05):
        pass


HOLDER = """
import sys
from pathlib import Path
from app.git.clones import Clones, locked
from app.git.binary import git_binary
from app.git.run import run_git
git_binary()  # asks git its version once
clones = Clones(Path(sys.argv[1]), Path(sys.argv[2]))
with locked(clones):
    print("locked", flush=True)
    run_git(["hash-object", "--stdin"], git_dir=clones.gate, stdin=sys.stdin.buffer)
"""


def test_the_lock_outlives_a_killed_server_while_its_git_lives(clones: Clones) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(clones.human), str(clones.directory)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"locked\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not children.read_text().strip():
        pass
    process.kill()
    process.wait(10)
    with pytest.raises(RepositoryBusy), locked(clones, timeout_seconds=0.1):
        pass
    process.stdin.close()  # now that git ends
    process.stdout.close()
    with locked(clones, timeout_seconds=10):
        pass


def boxed(clones: Clones, worktree: Worktree, script: str) -> subprocess.CompletedProcess[str]:
    """A shell in the sandbox that `sandbox_paths` asks for."""
    paths = sandbox_paths(clones, worktree)
    argv = ["bwrap", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session"]
    argv += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    argv += ["--tmpfs", str(clones.directory.parent.parent), "--tmpfs", str(worktree.path.parent)]
    argv += [part for path in paths.read_only for part in ("--ro-bind", str(path), str(path))]
    argv += [part for path in paths.read_write for part in ("--bind", str(path), str(path))]
    argv += ["--chdir", str(worktree.path), "--", "sh", "-c", script]
    env = os.environ | agent_env(clones, worktree)
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


@needs_box
def test_an_agent_in_its_box_works_and_harms_no_other(
    clones: Clones, worktree: Worktree, base: str, root: Path
) -> None:
    other = claim(clones, "eve", "qd/eve/task", base, root)
    kept = agent_commits(clones, worktree, {"a": "a"})
    work = boxed(
        clones,
        other,
        "set -e; echo e > e; git add e; git commit -qm e; git checkout -q -b qd/eve/more;"
        "echo f > f; git add f; git commit -qm f; git checkout -q qd/eve/task;"
        "git rebase -q qd/eve/more; git status --porcelain",
    )
    assert (work.returncode, work.stdout) == (0, ""), work.stderr
    attack = boxed(
        clones,
        other,
        f"rm -rf {clones.work}/objects/* {clones.objects('bo')} {worktree.path};"
        f"git update-ref refs/heads/main HEAD; git update-ref refs/heads/{worktree.branch} HEAD;"
        f"git update-ref -d refs/heads/{worktree.branch}; git config core.fsmonitor /bin/true;"
        f"rm -rf {clones.gate} {clones.admin('bo')}; git gc --prune=now; ls {worktree.path}; true",
    )
    assert attack.returncode == 0
    assert fetch_branch(clones, "bo", worktree.branch) == kept
    assert verify(clones, "bo")
    assert (worktree.path / "a").read_text() == "a"
    assert "fsmonitor" not in (clones.work / "config").read_text()
    assert plain_git(clones.work, "rev-parse", "main") == base
    for git_dir in (clones.gate, clones.human):
        plain_git(git_dir, "fsck", "--strict")
    assert fetch_branch(clones, "eve", "qd/eve/task")


def test_a_fetch_refuses_borrowed_object_stores(clones: Clones, worktree: Worktree) -> None:
    (clones.objects("bo") / "info" / "alternates").write_text("/somewhere/objects\n")
    with pytest.raises(GitError, match="alternates is not ours"):
        fetch_branch(clones, "bo", worktree.branch)


def test_it_works_in_paths_with_spaces_colons_and_unicode(human: Path, tmp_path: Path) -> None:
    from app.git.cloning import prepare
    from app.git.gate import base_sha

    odd = prepare(human, tmp_path / "stäte of: 'it' $x")
    mine = claim(odd, "bo", "qd/bo/x", base_sha(odd, "main"), tmp_path / "work trees ü")
    sha = agent_commits(odd, mine, {"ünï\ncode \u202e.txt": "x", "日本/file": "y"})
    assert fetch_branch(odd, "bo", mine.branch) == sha
    human_commits(human, {"h": "h"})
    sync(odd)
    assert blob(odd, sha, "ünï\ncode \u202e.txt").content == b"x"
    assert restore(odd, remove(odd, mine).sha, tmp_path / "work trees ü") == mine
