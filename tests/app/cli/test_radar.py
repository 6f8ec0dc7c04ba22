"""The radar in a terminal."""

import pytest

from app.cli.radar import _print

MEMBERS = [
    {"key": "base", "branch": "main", "agent": "", "merge_request_id": None},
    {"key": "12", "branch": "qd/ada/1", "agent": "ada", "merge_request_id": 12},
    {"key": "s-1", "branch": "qd/bo/1", "agent": "bo", "merge_request_id": None},
]


def test_conflicts_come_before_hints_with_names(capsys: pytest.CaptureFixture[str]) -> None:
    says = {"says": "ada (#12) removes add"}
    hint = {"one": "12", "other": "s-1", "kind": "symbol", "paths": ["a.py"], "symbols": [says]}
    clash = {"one": "base", "other": "12", "kind": "text", "paths": [], "symbols": []}
    field = {"repository": "shop", "base_branch": "main", "computed_at": None}
    _print({**field, "members": MEMBERS, "collisions": [hint, clash], "uncovered": {".c": 3}})
    said = capsys.readouterr().out
    assert "shop main: 2 under way, 2 collisions" in said
    assert said.index("git can't merge them") < said.index("ada (#12) removes add")
    assert "bo (at work)" in said
    assert "not read: 3 .c" in said
