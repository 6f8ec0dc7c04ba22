"""Intent: one sentence that says more than the title."""

import pytest

from app.services.intent import intent

TITLE = "Accept trailing commas"


@pytest.mark.parametrize(
    ("summary", "says"),
    [
        (
            "The parser now skips a comma before a bracket. Tests pass.",
            "The parser now skips a comma before a bracket.",
        ),
        (
            "Done!\n\nI've added a rule that skips the last comma.",
            "Added a rule that skips the last comma.",
        ),
        (
            "## Summary\n\n- **Parser**: `skip_comma` handles it\n- tests",
            "Parser: skip_comma handles it",
        ),
        (
            "All tests pass.\nThe work is complete.\nThe lexer keeps [positions](x.md) now.",
            "The lexer keeps positions now.",
        ),
        ("```\nmake test\n```\nThe grammar has one more rule.", "The grammar has one more rule."),
        ("Accept trailing commas.", "Accept them in lists and calls."),
        ("", "Accept them in lists and calls."),
        ("X" * 400, "X" * 199 + "…"),
    ],
)
def test_it_says_what_was_done_else_what_was_asked(summary: str, says: str) -> None:
    assert intent(TITLE, "Accept them in lists and calls. With tests.", summary) == says


def test_it_is_the_title_where_nothing_says_more() -> None:
    assert intent(TITLE) == TITLE
    assert intent(TITLE, TITLE + ".", "Done.") == TITLE


def test_a_long_sentence_ends_at_a_word() -> None:
    said = intent(TITLE, "", "The parser " + "keeps going " * 40)
    assert len(said) <= 200
    assert said.endswith("keeps…") or said.endswith("going…")


def test_hostile_text_costs_nothing() -> None:
    assert intent(TITLE, "", "`" * 200_000 + "\n" + "(" * 200_000) != ""
