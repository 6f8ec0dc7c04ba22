"""Terminal and bidirectional controls never reach a page."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.ansi import clean, reveal

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
HOSTILE = st.lists(
    st.one_of(
        st.text(),
        st.sampled_from(
            [
                "\x1b[31m", "\x1b]8;;javascript:alert(1)\x07", "\x1b\\", "\x9b2J", "\x1bP+q\x1b\\",
                "\x1b]0;title", "\u202e", "\u2066", "\r", "\x07", "\ud800", "\x1b", "\x9d", "\x1b[",
            ]
        ),
    )
).map("".join)  # fmt: skip


def harmless(text: str) -> bool:
    return not any(
        letter in BIDI
        or unicodedata.category(letter) == "Cs"
        or (unicodedata.category(letter) == "Cc" and letter not in "\n\t")
        for letter in text
    )


@given(HOSTILE)
def test_nothing_that_controls_a_terminal_or_turns_text_around_is_left(text: str) -> None:
    assert harmless(clean(text))
    assert harmless(reveal(text))


SEEN = st.characters(exclude_categories=["C", "M"], exclude_characters="\u115f\u1160\u3164\uffa0")


@given(st.text(SEEN))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text == reveal(text)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x1b]0;new title\x07after", "after"),
        ("\x9b31mc1", "c1"),
        ("10%\r20%\r\ndone", "10%\n20%\ndone"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\x1bPq#0;2\x1b\\sixel", "sixel"),
    ],
)
def test_it_takes_whole_sequences_out(text: str, seen: str) -> None:
    assert clean(text) == seen


def test_it_shows_what_would_turn_a_command_around() -> None:
    assert reveal("rm \u202e/ fr-") == "rm ⟦U+202E⟧/ fr-"


@pytest.mark.parametrize("unseen", ["\u200b", "\u2060", "\u00ad", "\u3164", "\ufeff", "\U000e0041"])
def test_it_shows_what_is_drawn_as_nothing(unseen: str) -> None:
    assert reveal(f"pass{unseen}word") == f"pass⟦U+{ord(unseen):04X}⟧word"


def test_letters_of_other_scripts_and_pictures_stay() -> None:
    assert reveal("Größe 世界 ❤\ufe0f שלום") == "Größe 世界 ❤\ufe0f שלום"
