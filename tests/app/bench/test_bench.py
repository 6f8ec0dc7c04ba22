"""The frame of every measurement: what it prints and when it fails."""

import argparse
import json
import sys
from types import ModuleType

import pytest

from app import bench
from app.bench import Bar, Result


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> str:
    """A family that measures what it is told."""
    module = ModuleType("app.bench.told")

    def parser() -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser()
        parser.add_argument("--value", type=float, default=1.0)
        return parser

    def run(options: argparse.Namespace) -> Result:
        return Result(
            ("name", "value"), [("x", options.value)], [Bar("x", options.value, 2.0, "s")]
        )

    module.parser, module.run = parser, run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "app.bench.told", module)
    monkeypatch.setattr(bench, "families", lambda: ["told"])
    return "told"


def test_a_bar_that_does_not_hold_fails_only_when_checked(family: str) -> None:
    assert bench.main(family, ["--check"]) == 0
    assert bench.main(family, ["--value", "3"]) == 0
    assert bench.main(family, ["--value", "3", "--check"]) == 1


def test_the_table_names_command_machine_versions_and_load(
    family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.main(family, ["--value", "3"])
    said = capsys.readouterr().out
    assert "command: quarterdeck bench told --value 3" in said
    for word in (
        "machine: ",
        "versions: quarterdeck ",
        "load before: ",
        "DOES NOT HOLD: x 3 ≤ 2 s",
    ):
        assert word in said


def test_json_is_one_object(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(family, ["--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["rows"] == [{"name": "x", "value": 1.0}]
    assert report["bars"][0]["holds"] is True


def test_a_floor_holds_from_above() -> None:
    assert Bar("rate", 5, 4, is_floor=True).holds
    assert not Bar("rate", 3, 4, is_floor=True).holds
    assert Bar("seconds", 4, 4).holds


def test_every_family_can_be_asked_for_help() -> None:
    for name in bench.families():
        with pytest.raises(SystemExit) as ended:
            bench.main(name, ["--help"])
        assert ended.value.code == 0
