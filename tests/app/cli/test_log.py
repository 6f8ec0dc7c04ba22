"""Journal records for a terminal: short, and harmless."""

import json

from agents.events import (
    Event,
    PermissionRequested,
    Record,
    Text,
    ToolResult,
    TurnEnded,
    Usage,
    encode,
    utc_now,
)
from app.cli.log import OUTPUT_LINES, in_lines
from app.show import ago, cell


def lines(event: Event) -> list[str]:
    return in_lines(json.loads(encode(Record(1, utc_now(), event))))


def test_a_text_keeps_its_lines_under_the_time() -> None:
    first, second = lines(Text("a", "One.\nTwo."))
    assert first.endswith("  One.")
    assert second == "          Two."


def test_long_output_is_folded() -> None:
    shown = lines(ToolResult("c", "\n".join(map(str, range(100))), exit_code=1))
    assert "exit 1" in shown[0]
    assert len(shown) == OUTPUT_LINES + 2
    assert shown[-1].endswith(f"{100 - OUTPUT_LINES} more lines")


def test_numbers_are_for_machines() -> None:
    assert lines(Usage("m", output_tokens=3)) == []


def test_a_permission_and_the_end_of_a_turn_stand_out() -> None:
    assert (
        "asks permission: Bash: rm" in lines(PermissionRequested("r", "execute", "Bash", "rm"))[0]
    )
    assert "turn limited" in lines(TurnEnded("t", "limited"))[0]


def test_an_empty_text_is_one_line() -> None:
    assert len(lines(Text("a", ""))) == 1


def test_a_cell_holds_no_control_and_no_line_break() -> None:
    assert cell("a\nb\x1b[31mc\u202e") == "a bc"
    assert cell(None) == cell("") == "-"
    assert cell(False) == "no"


def test_ages_are_short() -> None:
    assert ago("2020-01-01T00:00:00Z").endswith(" d")
    assert ago(utc_now().isoformat()) == "0 s"
    assert ago(None) == ""
