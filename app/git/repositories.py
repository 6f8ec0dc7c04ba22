"""The human's repository: what it is like, and whether we can serve it."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from app.errors import GitError, RepositoryRefused
from app.git.binary import git_binary
from app.git.names import HEADS, full_ref
from app.git.run import open_repository, run_git

if TYPE_CHECKING:
    import git

MARK = "quarterdeck"  # a file in our clones: an agent's worktree is never served itself


class Identity(msgspec.Struct, frozen=True):
    """Who commits."""

    name: str
    email: str


QUARTERDECK = Identity("Quarterdeck", "quarterdeck@localhost")  # of commits that nobody lands


class RepositoryFacts(msgspec.Struct, frozen=True):
    """What `inspect` found; `notices` say in sentences what is handled in a special way."""

    path: Path  # top level, or the bare directory itself
    git_directory: Path  # shared by all its worktrees
    identity: Identity
    branches: tuple[str, ...]
    head_sha: str
    head_branch: str  # "" = detached
    default_branch: str  # "" = must be named by the human
    is_bare: bool = False
    is_dirty: bool = False
    is_linked: bool = False
    has_submodules: bool = False
    has_lfs: bool = False
    notices: tuple[str, ...] = ()


def inspect(path: Path, base_branch: str | None = None) -> RepositoryFacts:
    """Look at a repository without changing it; RepositoryRefused says what to do instead."""
    git_binary()
    top, common, is_bare = find(path)
    if (common / MARK).exists():
        raise RepositoryRefused(
            f"{path} belongs to Quarterdeck's own clones", "name your own repository instead"
        )
    _refuse_formats(top, common)
    try:
        with open_repository(top, human=True) as repository:
            if not repository.head.is_valid() and not repository.heads:
                raise RepositoryRefused(
                    f"{top} has no commit yet",
                    'make a first one: git add -A && git commit -m "first commit"',
                )
            branches = tuple(sorted(head.name for head in repository.heads))
            is_detached = repository.head.is_detached
            head_branch = "" if is_detached else str(repository.head.ref.name)
            is_unborn = not is_detached and head_branch not in branches
            head_sha = "" if is_unborn else _whole(repository.head.commit)
    except GitError as error:
        raise RepositoryRefused(f"{top} is damaged", "see what `git fsck` says there") from error
    if base_branch is not None and full_ref(base_branch).removeprefix(HEADS) not in branches:
        raise RepositoryRefused(
            f"there is no local branch {base_branch}", f"name one of: {', '.join(branches[:10])}"
        )
    default = base_branch or _default_branch(top, branches, head_branch)
    facts = RepositoryFacts(
        path=top,
        git_directory=common,
        identity=_identity(top),
        branches=branches,
        head_sha=head_sha,
        head_branch=head_branch if head_branch in branches else "",
        default_branch=default,
        is_bare=is_bare,
        is_dirty=not is_bare and bool(head_sha) and is_dirty(top),
        is_linked=not is_bare and (top / ".git").is_file(),
        has_submodules=bool(head_sha) and _in_tree(top, head_sha, ".gitmodules"),
        has_lfs=bool(head_sha) and _has_lfs(top, head_sha),
    )
    return msgspec.structs.replace(facts, notices=_notices(facts))


def require_there(human: Path) -> None:
    """RepositoryRefused where the human's repository is gone from its place."""
    if not human.is_dir():
        raise RepositoryRefused(
            f"{human} is gone", "move it back, or put a symbolic link to its new place there"
        )


def _whole(commit: "git.Commit") -> str:
    """The commit's id, once its object was read (GitPython reads no object before it must)."""
    return commit.hexsha if commit.tree else ""


def find(path: Path) -> tuple[Path, Path, bool]:
    """Top level, git directory shared by all worktrees, is it bare; else RepositoryRefused."""
    if not path.is_dir():
        raise RepositoryRefused(f"{path} is not a directory", "name the folder of a git repository")
    done = run_git(
        ["rev-parse", "--path-format=absolute", "--is-bare-repository", "--git-common-dir"],
        cwd=path,
        human=True,
        accept=(0, 128),
    )
    if done.returncode:
        if "dubious ownership" in done.stderr:
            raise RepositoryRefused(
                f"{path} belongs to another user",
                f"if you trust it: git config --global --add safe.directory {path}",
            )
        raise RepositoryRefused(
            f"{path} is not a git repository",
            "run `git init` and make a first commit there, or name another folder",
        )
    bare, common = os.fsdecode(done.stdout).rstrip("\n").split("\n", 1)
    if bare == "true":
        return Path(common), Path(common), True
    top = run_git(
        ["rev-parse", "--path-format=absolute", "--show-toplevel"],
        cwd=path,
        human=True,
        accept=(0, 128),
    )
    if top.returncode:
        raise RepositoryRefused(f"{path} is inside a .git directory", "name the folder above it")
    return Path(os.fsdecode(top.stdout).rstrip("\n")), Path(common), False


def _refuse_formats(top: Path, common: Path) -> None:
    if (common / "shallow").exists():
        raise RepositoryRefused(
            f"{top} is a shallow clone, so merges can't be computed in it",
            "fetch the rest first: git fetch --unshallow",
        )
    if config(top, "extensions.objectformat") not in ("", "sha1"):
        raise RepositoryRefused(
            f"{top} uses SHA-256 object names", "convert it or name a repository that uses SHA-1"
        )
    promisors = run_git(
        ["config", "--get-regexp", r"^(remote\..*\.promisor|extensions\.partialclone)$"],
        cwd=top,
        human=True,
        accept=(0, 1),
    )
    if promisors.stdout:
        raise RepositoryRefused(
            f"{top} is a partial clone, so files may be missing from it",
            "clone it again without --filter",
        )


def config(top: Path, name: str) -> str:
    """One value of the human's configuration as it counts in this repository, "" where unset."""
    done = run_git(["config", "--get", name], cwd=top, human=True, accept=(0, 1))
    return done.text


def _identity(top: Path) -> Identity:
    done = run_git(
        ["-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT"],
        cwd=top,
        human=True,
        accept=(0, 128),
    )
    found = re.fullmatch(r"(.+) <(.+)> \d+ [+-]\d+", done.text)
    if done.returncode or found is None:
        raise RepositoryRefused(
            "git does not know who you are, so it can't commit your merges",
            'tell it: git config --global user.name "Your Name" && '
            "git config --global user.email you@example.org",
        )
    return Identity(found[1], found[2])


def _default_branch(top: Path, branches: tuple[str, ...], head_branch: str) -> str:
    if head_branch in branches:
        return head_branch
    done = run_git(
        ["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"],
        cwd=top,
        human=True,
        accept=(0, 1, 128),
    )
    for name in (done.text.removeprefix("origin/"), "main", "master"):
        if name in branches:
            return name
    return branches[0] if len(branches) == 1 else ""


def is_dirty(top: Path) -> bool:
    """Whether a checkout has changes to tracked files, staged or not; untracked don't count."""
    done = run_git(
        ["status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all"],
        cwd=top,
        human=True,
    )
    return bool(done.stdout)


def _in_tree(top: Path, sha: str, path: str) -> bool:
    return bool(
        run_git(["ls-tree", "-z", "--end-of-options", sha, path], cwd=top, human=True).stdout
    )


def _has_lfs(top: Path, sha: str) -> bool:
    done = run_git(
        ["grep", "-l", "-F", "-e", "filter=lfs", sha, "--", ":(glob)**/.gitattributes"],
        cwd=top,
        human=True,
        env={"GIT_LITERAL_PATHSPECS": "0"},
        accept=(0, 1),
    )
    return done.returncode == 0


def _notices(facts: RepositoryFacts) -> tuple[str, ...]:
    sentences = {
        "The checkout has uncommitted changes: agents start from commits and don't see them.": (
            facts.is_dirty
        ),
        "HEAD is detached: name the base branch that work is merged into.": (
            not facts.is_bare and not facts.head_branch
        ),
        "Submodules are kept as pointers: agents see empty folders in their place.": (
            facts.has_submodules
        ),
        "Git LFS files are kept as pointers: agents see the pointer, not the content.": (
            facts.has_lfs
        ),
    }
    return tuple(sentence for sentence, holds in sentences.items() if holds)
