"""`quarterdeck bench FAMILY`: one frame around every measurement, so that numbers can be compared.

A family is a module of this package with `parser()` (its own options) and `run(options)`, which
returns a Result: a table, and bars that must hold. The frame adds the command, the machine, the
versions and the load, prints all as a table or (`--json`) as one object, and with `--check` exits
with 1 where a bar does not hold.
"""

import argparse
import json
import shlex
import sys
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from app.bench.machine import describe, load


@dataclass(frozen=True)
class Bar:
    """A promise: `value` must not be over `limit` (under it, where `is_floor`)."""

    name: str
    value: float
    limit: float
    unit: str = ""
    is_floor: bool = False

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.is_floor else self.value <= self.limit


@dataclass(frozen=True)
class Result:
    """What a family measured."""

    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Family(Protocol):
    """A module of this package."""

    def parser(self) -> argparse.ArgumentParser: ...

    def run(self, options: argparse.Namespace) -> Result: ...


def families() -> list[str]:
    """The modules that measure something, by name."""
    found = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in found if name not in ("__init__", "machine"))


def main(name: str, arguments: list[str]) -> int:
    """Run one family; the exit status."""
    if name in ("--help", "-h") or name not in families():
        wanted = name in ("--help", "-h")
        text = f"usage: quarterdeck bench FAMILY [--json] [--check] ...\n{_listing()}"
        print(text, file=sys.stdout if wanted else sys.stderr)
        return 0 if wanted else 2
    family = cast(Family, import_module(f"app.bench.{name}"))
    parser = family.parser()
    parser.prog = f"quarterdeck bench {name}"
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar does not hold")
    options = parser.parse_args(arguments)
    before = load()
    result = family.run(options)
    frame = {
        "command": shlex.join(["quarterdeck", "bench", name, *arguments]),
        **describe(),
        "load_before": before,
        "load_after": load(),
    }
    (_as_json if options.json else _as_table)(frame, result)
    return int(options.check and not all(bar.holds for bar in result.bars))


def _listing() -> str:
    return "\n".join(f"  {name}" for name in families())


def _as_json(frame: dict[str, object], result: Result) -> None:
    bars = [{**asdict(bar), "holds": bar.holds} for bar in result.bars]
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    print(json.dumps({**frame, "rows": rows, "bars": bars, "notes": result.notes}, indent=2))


def _as_table(frame: dict[str, object], result: Result) -> None:
    from app.show import table

    for name, value in frame.items():
        print(f"{name.replace('_', ' ')}: {value}")
    print()
    table(result.columns, result.rows)
    for bar in result.bars:
        sign = "≥" if bar.is_floor else "≤"
        verdict = "holds" if bar.holds else "DOES NOT HOLD"
        print(f"{verdict}: {bar.name} {bar.value:g} {sign} {bar.limit:g} {bar.unit}".rstrip())
    for note in result.notes:
        print(note)
