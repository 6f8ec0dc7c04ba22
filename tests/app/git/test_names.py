"""Names that attack, and names that are fine."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import BranchRefused, GitError
from app.git.names import (
    branch_name,
    full_ref,
    is_name,
    path_argument,
    path_text,
    require_branch,
    require_path,
    slugify,
)
from app.git.run import require_oid

HOSTILE = [
    "<img/src=x/onerror=alert(1)>",
    "$(touch${IFS}/tmp/pw)",
    ";id;",
    "|id",
    "`id`",
    "it's",
    "a\u202eb",
    "refs/heads/main",
    "@",
    "--upload-pack=id",
    "--output=/tmp/x",
    "-x",
    "..",
    "../main",
    "a..b",
    "a b",
    "a\nb",
    "a\0b",
    "a.lock",
    ".hidden",
    "a.",
    "",
    "a/b",
    "x" * 101,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_it_refuses_hostile_agents_branches(name: str) -> None:
    assert not is_name(name)
    for agent, branch in ((name, f"qd/{name}/x"), ("bo", f"qd/bo/{name}"), ("bo", name)):
        with pytest.raises(BranchRefused):
            require_branch(agent, branch)


@pytest.mark.parametrize(
    "name", ["-x", "a b", "a..b", "a~1", "a:b", "a\\b", "@", "a@{1}", "a.lock"]
)
def test_it_refuses_what_git_would_refuse_as_a_branch(name: str) -> None:
    with pytest.raises(BranchRefused):
        full_ref(name)


@pytest.mark.parametrize("name", ["main", "feature/ünïcode", "release-1.0", "it's"])
def test_it_takes_the_humans_branches(name: str) -> None:
    assert full_ref(name) == full_ref(f"refs/heads/{name}") == f"refs/heads/{name}"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../b", "a\0b", "", "a//b", "./a", "a/"])
def test_it_refuses_paths_that_leave_the_tree(path: str) -> None:
    with pytest.raises(BranchRefused):
        require_path(path)


@pytest.mark.parametrize(
    "oid", ["HEAD", "main", "abc", "--help", "g" * 40, "a" * 41, "a" * 40 + "\n"]
)
def test_it_names_objects_by_full_ids_only(oid: str) -> None:
    with pytest.raises(GitError):
        require_oid(oid)


@settings(deadline=None)
@given(st.text())
def test_it_makes_a_good_branch_of_any_title(title: str) -> None:
    branch = branch_name("bo", title)
    assert require_branch("bo", branch) == slugify(title)
    assert branch_name("bo", title, frozenset({branch})) == f"{branch}-2"


def test_it_slugs_titles() -> None:
    assert slugify("Fix: the Änderung of (x)!") == "fix-the-anderung-of-x"
    assert slugify("日本語") == "task"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"\\", b"x", b"e9", b"5c", b"\xe9", b"\xc3\xa9", b"a"])))
def test_a_path_is_spelled_as_text_and_back(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    assert os.fsencode(path_argument(path_text(raw))) == raw
    path_text(raw).encode()
