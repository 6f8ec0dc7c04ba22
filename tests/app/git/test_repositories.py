"""Which repositories are served, which are refused, and with what words."""

import shutil
from pathlib import Path

import pytest

from app.errors import RepositoryRefused
from app.git.clones import Clones
from app.git.cloning import prepare
from app.git.repositories import Identity, inspect
from app.git.snapshots import Worktree
from tests.app.git.shell import make_repository, plain_git, write


def refusal(path: Path, base: str | None = None) -> str:
    with pytest.raises(RepositoryRefused) as caught:
        inspect(path, base)
    assert caught.value.hint
    return caught.value.message


def test_it_describes_a_plain_repository(human: Path) -> None:
    facts = inspect(human / "src")  # from anywhere inside
    assert facts.path == human
    assert facts.identity == Identity("Ada Human", "ada@example.org")
    assert (facts.default_branch, facts.head_branch, facts.branches) == ("main", "main", ("main",))
    assert facts.head_sha == plain_git(human, "rev-parse", "HEAD")
    assert facts.notices == ()


def test_it_takes_paths_with_spaces_and_unicode(tmp_path: Path) -> None:
    human = make_repository(tmp_path / "my près $(x) 'quoted' : repo")
    clones = prepare(inspect(human).path, tmp_path / "état : of" / "affairs")
    assert plain_git(clones.work, "rev-parse", "main") == plain_git(human, "rev-parse", "main")


def test_it_refuses_what_is_no_repository(tmp_path: Path) -> None:
    assert "is not a git repository: run `git init`" in refusal(tmp_path)
    assert "is not a directory" in refusal(tmp_path / "missing")


def test_it_refuses_a_repository_without_a_commit(tmp_path: Path) -> None:
    plain_git(tmp_path, "init", "-q", "fresh")
    assert "has no commit yet: make a first one: git add -A" in refusal(tmp_path / "fresh")


def test_it_takes_an_unborn_branch_beside_others(human: Path) -> None:
    plain_git(human, "checkout", "-q", "--orphan", "unborn")
    facts = inspect(human)
    assert (facts.head_sha, facts.head_branch, facts.default_branch) == ("", "", "main")


def test_it_refuses_a_shallow_clone(human: Path, tmp_path: Path) -> None:
    plain_git(tmp_path, "clone", "-q", "--depth=1", f"file://{human}", "shallow")
    assert "git fetch --unshallow" in refusal(tmp_path / "shallow")


def test_it_refuses_a_partial_clone(human: Path, tmp_path: Path) -> None:
    plain_git(human, "config", "uploadpack.allowFilter", "true")
    plain_git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{human}", "partial")
    assert "clone it again without --filter" in refusal(tmp_path / "partial")


def test_it_refuses_sha256(tmp_path: Path) -> None:
    plain_git(tmp_path, "init", "-q", "--object-format=sha256", "long")
    assert "SHA-256" in refusal(tmp_path / "long")


def test_it_refuses_without_an_identity(
    human: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "person" / ".gitconfig").write_text("")
    assert "git config --global user.name" in refusal(human)
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Env")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "env@example.org")
    assert inspect(human).identity == Identity("Env", "env@example.org")


def test_it_refuses_a_base_that_is_not_there(human: Path) -> None:
    assert "there is no local branch other: name one of: main" in refusal(human, "other")
    assert inspect(human, "main").default_branch == "main"


def test_it_refuses_the_inside_of_a_git_directory(human: Path) -> None:
    assert "name the folder above it" in refusal(human / ".git" / "refs")


def test_it_refuses_an_agents_worktree(worktree: Worktree, clones: Clones) -> None:
    assert "belongs to Quarterdeck's own clones" in refusal(worktree.path)
    assert "belongs to Quarterdeck's own clones" in refusal(clones.gate)


def test_it_takes_a_dirty_checkout_with_a_notice(human: Path) -> None:
    write(human, {"README.md": "changed"})
    facts = inspect(human)
    assert facts.is_dirty
    assert "uncommitted changes" in facts.notices[0]


def test_it_asks_for_the_base_where_head_is_detached(human: Path) -> None:
    plain_git(human, "branch", "other")
    plain_git(human, "branch", "-m", "main", "trunk")
    plain_git(human, "checkout", "-q", "--detach")
    facts = inspect(human)
    assert (facts.head_branch, facts.default_branch) == ("", "")
    assert "HEAD is detached" in facts.notices[0]


def test_it_takes_a_bare_repository(human: Path, tmp_path: Path) -> None:
    plain_git(tmp_path, "clone", "-q", "--bare", str(human), "bare.git")
    facts = inspect(tmp_path / "bare.git")
    assert (facts.is_bare, facts.path, facts.default_branch) == (
        True,
        tmp_path / "bare.git",
        "main",
    )


def test_it_takes_a_linked_worktree_of_the_human(human: Path, tmp_path: Path) -> None:
    plain_git(human, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    facts = inspect(tmp_path / "side")
    assert facts.is_linked
    assert (facts.path, facts.default_branch) == (tmp_path / "side", "side")
    assert facts.git_directory == human / ".git"


def test_it_notices_submodules_and_lfs(human: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    plain_git(
        human, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "sub"
    )
    write(human, {"assets/.gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    plain_git(human, "add", "-A")
    plain_git(human, "commit", "-qm", "pointers")
    facts = inspect(human)
    assert facts.has_submodules
    assert facts.has_lfs
    assert len(facts.notices) == 2


def test_it_reports_a_spoilt_repository(human: Path) -> None:
    shutil.rmtree(human / ".git" / "objects")
    (human / ".git" / "objects").mkdir()
    assert "git fsck" in refusal(human)
