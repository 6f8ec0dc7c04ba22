"""Risks by path: what steers agents, runs by itself, builds, deploys, migrates or guards."""

from collections.abc import Iterator

from app.services.change import Change, Risk
from app.services.path_rules import PathRule, rule_of


def touched(change: Change) -> Iterator[Risk]:
    """One risk for each rule that a path, or the old path of a renamed file, falls under."""
    found: dict[PathRule, list[str]] = {}
    for file in change.files:
        for path in {file.path, file.old_path}:
            rule = rule_of(path)
            if rule.points:
                found.setdefault(rule, []).append(path)
    for rule, paths in found.items():
        yield Risk(rule.kind, rule.points, rule.says, tuple(sorted(paths)))


RULES = (touched,)
