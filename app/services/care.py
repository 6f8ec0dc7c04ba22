"""How close a look a change deserves: glance, read or study, each with its reasons as data.

For each path quarterdeck.toml rules, and where it is silent the defaults do. Risks and the task can
ask for more. The strictest wins.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.git.config import Care, RepositoryConfig
from app.services.change import SHOWN_PATHS, Risk
from app.services.path_rules import PathRule, rule_of

LEVELS: tuple[Care, ...] = ("glance", "read", "study")
_RULED = "by quarterdeck.toml"
_PROTECTED = "protected by quarterdeck.toml"
_COMMENTS_ONLY = PathRule("glance", "only comments changed")
# What a risk asks for whatever its paths ask for; risks that are not named ask for nothing.
_ASKED: dict[str, Care] = {
    "secret": "study",
    "hidden_characters": "study",
    "executes": "study",
    "submodule": "study",
    "tests_removed": "study",
    "tests_weakened": "study",
    "link": "study",
    "unread": "study",
    "permissions": "read",
    "dependency_added": "read",
    "dependency_changed": "read",
    "public_interface": "read",
    "foreign_commits": "read",
    "binary": "read",
    "large": "read",
    "empty": "read",
}


@dataclass(frozen=True)
class Reason:
    """Why at least this level: a rule in words, and the paths it is about."""

    level: Care
    rule: str
    paths: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """As a merge request stores it."""
        return {"level": self.level, "rule": self.rule, "paths": list(self.paths[:SHOWN_PATHS])}


def care(
    config: RepositoryConfig,
    paths: Iterable[str],
    risks: Iterable[Risk],
    *,
    also: Iterable[Reason] = (),
    comments_only: frozenset[str] = frozenset(),
) -> tuple[Care, tuple[Reason, ...]]:
    """The level of a change and all its reasons, strictest first; `also`: whatever else asks."""
    grouped: dict[tuple[Care, str], list[str]] = {}
    for path in paths:
        grouped.setdefault(_of_path(config, path, path in comments_only), []).append(path)
    reasons = [Reason(level, rule, tuple(found)) for (level, rule), found in grouped.items()]
    reasons += [Reason(_ASKED[r.kind], r.says, r.paths) for r in risks if r.kind in _ASKED]
    reasons += also
    reasons.sort(key=lambda reason: -LEVELS.index(reason.level))
    return (reasons[0].level if reasons else "glance"), tuple(reasons)


def _of_path(config: RepositoryConfig, path: str, only_comments: bool) -> tuple[Care, str]:
    if config.is_protected(path):
        return "study", _PROTECTED
    if level := config.care_rule(path):
        return level, _RULED
    rule = rule_of(path)
    if only_comments and rule.level == "read":
        rule = _COMMENTS_ONLY
    return rule.level, rule.says
