"""The place in a scenario follows from the history alone."""

import pytest

from agents.rehearsal.conversation import (
    Answer,
    Entry,
    Interrupted,
    Prompt,
    Result,
    Steer,
    call_id,
    human_text,
    locate,
)


def called(turn: int, step: int) -> Answer:
    return Answer((call_id("toolu", turn, step, 0),))


@pytest.mark.parametrize(
    ("history", "turn", "step"),
    [
        ([], 0, 0),
        ([Prompt("a")], 0, 0),
        ([Prompt("a"), Prompt("a again, after a failure")], 0, 0),
        ([Prompt("a"), called(0, 0), Result("ok")], 0, 1),
        ([Prompt("a"), called(0, 0), Result("ok"), Prompt("a steer")], 0, 1),
        ([Prompt("a"), called(0, 0), Result("ok"), Steer("a steer")], 0, 1),
        ([Prompt("a"), called(0, 0), Result("ok"), Answer()], 0, 1),
        ([Prompt("a"), Answer(), Prompt("b")], 1, 0),
        ([Prompt("a"), called(0, 0), Result("no"), Interrupted(), Prompt("b")], 1, 0),
        ([Prompt("a"), Interrupted(), Prompt("b")], 1, 0),
        ([Prompt("summary of all before"), called(3, 1), Result("ok")], 3, 2),
        ([Prompt("a"), Answer(("foreign",)), Result("ok")], 0, 1),
    ],
)
def test_it_locates_the_next_step(history: list[Entry], turn: int, step: int) -> None:
    place = locate(history)
    assert (place.turn, place.step) == (turn, step)


def test_it_keeps_the_steer_and_the_refusal_of_this_turn_only() -> None:
    refused: list[Entry] = [Prompt("a"), called(0, 0), Result("rejected by user"), Steer("left")]
    assert (locate(refused).steer, locate(refused).refused) == ("left", True)
    later = locate([*refused, Answer(), Prompt("b")])
    assert (later.steer, later.refused, later.prompts) == ("", False, ("a", "b"))


def test_a_command_that_failed_was_not_refused() -> None:
    assert not locate([Prompt("a"), called(0, 0), Result('"Exit code 1', is_error=True)]).refused
    assert locate([Prompt("a"), called(0, 0), Result('"no thanks"', is_error=True)]).refused


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Do it", Prompt),
        ("<b>bold</b> matters", Prompt),
        ("<system-reminder>\nx\n</system-reminder>\n", type(None)),
        ("<environment_context>\n<cwd>/x</cwd>\n</environment_context>", type(None)),
        ("# AGENTS.md instructions for /x", type(None)),
        ("  ", type(None)),
        ("[Request interrupted by user for tool use]", Interrupted),
        ("<turn_aborted>\nx\n</turn_aborted>", Interrupted),
    ],
)
def test_it_tells_the_human_from_the_client(text: str, kind: type) -> None:
    assert isinstance(human_text(text), kind)
