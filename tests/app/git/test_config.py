"""quarterdeck.toml: what it may say, and the sentence when it says it wrongly."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ConfigInvalid
from app.git.clones import Clones
from app.git.cloning import sync
from app.git.config import (
    CheckCommand,
    Command,
    RepositoryConfig,
    matches,
    parse_config,
    read_config,
)
from app.git.snapshots import Worktree
from tests.app.git.shell import agent_commits, human_commits

WHOLE = b"""
base_branch = "main"
merge = "squash"
copy = [".env", "config/*.local"]
keep_ignored = ["notes/*"]
protected = ["migrations/"]

[setup]
command = "make install"
timeout_seconds = 60

[check]
command = "make test"

[care]
glance = ["docs/**"]
study = ["payments/**", "docs/law.md"]
"""


def test_it_reads_a_whole_file() -> None:
    config = parse_config(WHOLE)
    assert config.base_branch == "main"
    assert config.merge == "squash"
    assert config.copy == (".env", "config/*.local")
    assert config.setup == Command("make install", 60)
    assert config.check == CheckCommand("make test")
    assert config.care_rule("payments/deep/x.py") == "study"
    assert config.care_rule("docs/a.md") == "glance"
    assert config.care_rule("docs/law.md") == "study"
    assert config.care_rule("src/x.py") is None
    assert config.is_protected("migrations/1.sql")
    assert config.is_protected("quarterdeck.toml")
    assert not config.is_protected("src/migrations.py")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a = ", "quarterdeck.toml line 1: Invalid value"),
        (b'\n[check]\ncomand = "x"\n', "line 3 [check.comand]: there is no such setting, did you"),
        (
            b"\n\n[check]\ntimeout_seconds = 0\n",
            "line 4 [check.timeout_seconds]: Expected `int` >=",
        ),
        (b"[check]\nreruns = 6\n", "line 2 [check.reruns]: Expected `int` <= 5"),
        (b"copy = '.env'\n", "line 1 [copy]: Expected `array`"),
        (b"merge = 'octopus'\n", "line 1 [merge]: Invalid enum value 'octopus'"),
        (b"copy = ['a', '../x']\n", "line 1 [copy]: '../x' is not a path"),
        (b"copy = ['/etc/passwd']\n", "line 1 [copy]: '/etc/passwd' is not a path"),
        (b"base_branch = '--x'\n", "line 1 [base_branch]"),
        (b"x = 1\n\xff\n", "quarterdeck.toml line 2: it is not UTF-8"),
        (b"check = 'make test'\n", "line 1 [check]: Expected `object`"),
    ],
)
def test_it_says_where_and_what_is_wrong(content: bytes, sentence: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        parse_config(content)
    assert sentence in caught.value.message


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_it_survives_anything(content: bytes) -> None:
    with suppress(ConfigInvalid):
        assert isinstance(parse_config(content), RepositoryConfig)


def test_it_reads_the_base_and_never_the_branch(clones: Clones, worktree: Worktree) -> None:
    base = human_commits(clones.human, {"quarterdeck.toml": '[check]\ncommand = "make test"\n'})
    agent_commits(clones, worktree, {"quarterdeck.toml": '[check]\ncommand = "true"\n'})
    sync(clones)
    assert read_config(clones, base).check.command == "make test"
    assert read_config(clones, worktree.base_sha) == RepositoryConfig()


def test_a_link_is_no_configuration(clones: Clones) -> None:
    (clones.human / "quarterdeck.toml").symlink_to("/etc/passwd")
    base = human_commits(clones.human, {"x": "x"})
    sync(clones)
    with pytest.raises(ConfigInvalid, match="plain file"):
        read_config(clones, base)


@pytest.mark.parametrize(
    ("path", "pattern", "does"),
    [
        ("a/b.py", "a/", True),
        ("a/b.py", "a", True),
        ("a/b.py", "/a/**", True),
        ("ab/b.py", "a", False),
        ("x/b.py", "*.py", True),
        ("x.pyc", "*.py", False),
    ],
)
def test_patterns(path: str, pattern: str, does: bool) -> None:
    assert matches(path, pattern) is does
