"""`quarterdeck.toml`: what a repository says about itself, read from the base commit only.

base_branch = "main"                # what work starts from and is merged into
merge = "merge"                     # or "squash", "rebase"
copy = [".env", "config/*.local"]   # untracked files that worktrees get
keep_ignored = ["notes/*"]          # ignored files that snapshots keep
protected = ["migrations/"]         # changes here always wait for a human's eye

[setup]
command = "make install"            # run in a fresh worktree, in its sandbox
timeout_seconds = 600

[check]
command = "make test"               # run on the merged tree before the base moves
timeout_seconds = 900
reruns = 0                          # times that a failing tree is tried again before it counts

[push]
remote = "origin"                   # of your repository
base = false                        # push the base there after each landing

[care]                              # path rules: what kind of look a change deserves
study = ["payments/**"]
"""

import re
import tomllib
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec

from app.errors import BranchRefused, ConfigInvalid, NotFound
from app.git.clones import Clones
from app.git.diffs import blob
from app.git.names import full_ref, require_path

FILE_NAME = "quarterdeck.toml"
_MAX_BYTES = 256 << 10
Care = Literal["glance", "read", "study"]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shell command of the repository with its time limit; "" = none."""

    command: str = ""
    timeout_seconds: Seconds = 900


class CheckCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shell command that a tree must pass; the settings' time limit where it has none."""

    command: str = ""
    timeout_seconds: Seconds | None = None
    reruns: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0  # of one that failed, by itself


class PushRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where landings and pull requests go; `base`: push the base after each landing."""

    remote: str = "origin"
    base: bool = False


class CareRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Path patterns by care level."""

    glance: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    study: tuple[str, ...] = ()


class RepositoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file, defaults filled in."""

    base_branch: str = ""
    merge: Literal["merge", "squash", "rebase"] = "merge"
    copy: tuple[str, ...] = ()
    keep_ignored: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    setup: Command = Command()
    check: CheckCommand = CheckCommand()
    push: PushRules = PushRules()
    care: CareRules = CareRules()

    def care_rule(self, path: str) -> Care | None:
        """The strictest level whose patterns match this path; None where `[care]` is silent."""
        for level in ("study", "read", "glance"):
            if any(matches(path, pattern) for pattern in getattr(self.care, level)):
                return level
        return None

    def is_protected(self, path: str) -> bool:
        """Whether a change of this path always waits for a human."""
        return path == FILE_NAME or any(matches(path, pattern) for pattern in self.protected)


def matches(path: str, pattern: str) -> bool:
    """Whether a path is under a pattern: `dir/` is all below, `*` crosses no name's start only."""
    pattern = pattern.lstrip("/")
    if pattern.endswith("/"):
        return path.startswith(pattern)
    return fnmatchcase(path, pattern) or path.startswith(pattern + "/")


def read_config(clones: Clones, commit: str) -> RepositoryConfig:
    """The configuration at a commit of the base, defaults where it is absent. ConfigInvalid."""
    try:
        found = blob(clones, commit, FILE_NAME, _MAX_BYTES)
    except NotFound:
        return RepositoryConfig()
    if found.is_cut or found.mode not in ("100644", "100755"):
        raise ConfigInvalid("it must be a plain file below 256 KiB")
    return parse_config(found.content)


def parse_config(content: bytes) -> RepositoryConfig:
    """The configuration a file's bytes say; ConfigInvalid names line and field."""
    try:
        text = content.decode("utf-8")
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigInvalid("it is not UTF-8", line=line) from None
    except tomllib.TOMLDecodeError as error:
        raise _from_toml(str(error), text) from None
    try:
        config = msgspec.convert(raw, RepositoryConfig)
    except msgspec.ValidationError as error:
        raise _from_validation(str(error), text) from None
    _check_values(config, text)
    return config


def _from_toml(said: str, text: str) -> ConfigInvalid:
    found = re.search(r"\(at line (\d+), column (\d+)\)", said)
    problem = said.partition(" (at ")[0]
    return ConfigInvalid(problem, line=int(found[1]) if found else len(text.splitlines()))


def _from_validation(said: str, text: str) -> ConfigInvalid:
    problem, _, where = said.partition(" - at `$")
    field = where.strip(".`")
    unknown = re.search(r"unknown field `([^`]*)`", problem)
    if unknown:
        table = field
        field = f"{table}.{unknown[1]}".strip(".")
        known = [*RepositoryConfig.__struct_fields__, *CheckCommand.__struct_fields__, "study"]
        close = get_close_matches(unknown[1], known, 1)
        problem = "there is no such setting" + (f", did you mean {close[0]}?" if close else "")
    return ConfigInvalid(problem, field=field, line=_line_of(text, field))


def _check_values(config: RepositoryConfig, text: str) -> None:
    try:
        if config.base_branch:
            full_ref(config.base_branch)
    except BranchRefused as error:
        line = _line_of(text, "base_branch")
        raise ConfigInvalid(error.message, field="base_branch", line=line) from None
    for pattern in config.copy:
        try:
            require_path(pattern)
        except BranchRefused as error:
            line = _line_of(text, "copy")
            raise ConfigInvalid(error.message, field="copy", line=line) from None


def _line_of(text: str, field: str) -> int | None:
    key = re.escape(re.sub(r"\[.*", "", field.rpartition(".")[2]))
    if not key:
        return None
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf'\s*(\[\s*)?"?([\w-]+\.)*{key}"?\s*[=\].]', line):
            return number
    return None
