"""Records become what is seen of them, joined as far as one chunk reaches."""

import json

import pytest
from bs4 import BeautifulSoup

from agents import events as ev
from app.web import logview
from tests.app import factories as make


def seen(*events: ev.Event, first: int = 1) -> BeautifulSoup:
    html = logview.chunks(make.records(*events, first=first), "s-1")
    return BeautifulSoup(html, "html.parser")


def test_pieces_of_one_message_are_one_block_across_what_is_not_seen() -> None:
    page = seen(
        ev.Text("m1", "one "), ev.Usage("m", output_tokens=3), ev.Text("m1", "two"),
        ev.Thinking("m1", "hm"), ev.Text("m2", "three"),
    )  # fmt: skip
    assert [block.text for block in page.select(".r")] == ["one two", "hm", "three"]
    assert [span["data-seq"] for span in page.select(".text span")] == ["1", "3", "5"]


def test_output_and_end_lie_in_their_calls_fold() -> None:
    page = seen(
        ev.ToolCall("a", "Bash", "execute", "make"), ev.ToolCall("b", "Bash", "execute", "ls"),
        ev.ToolOutput("a", "cc\n"), ev.ToolResult("b", "file\n"), ev.ToolOutput("a", "ld\n"),
        ev.ToolResult("a", is_error=True, exit_code=2),
    )  # fmt: skip
    a, b = page.select("details.call")
    assert (a.select_one(".output").text, a.select_one(".how").text) == ("cc\nld\n", "exit 2")
    assert (b.select_one(".output").text, b.select_one(".how").text) == ("file\n", "ok")
    assert not a.has_attr("open")


def test_what_belongs_to_an_earlier_chunk_says_where_it_goes() -> None:
    page = seen(
        ev.ToolOutput("gone", "late"), ev.ToolResult("gone"),
        ev.PermissionResolved("q", "deny", "no"),
    )  # fmt: skip
    late = page.select(".late")
    assert [piece["data-into"] for piece in late] == ["call:gone", "call:gone", "ask:q"]
    assert late[2].text.strip() == "denied: no"


def test_a_question_that_is_settled_has_no_buttons() -> None:
    asked = ev.PermissionRequested("q", "execute", "Bash", "rm -rf /")
    assert len(seen(asked).select("button")) == 3
    settled = seen(asked, ev.PermissionResolved("q", "allow_always"))
    assert not settled.select("button")
    assert "allowed always" in settled.text


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (ev.SessionStarted("c", model="m", resumed=True), "Session resumed · m"),
        (ev.UserMessage("u", "please", origin="review"), "Review"),
        (ev.Failed("auth", "Log in again."), "auth Log in again."),
        (ev.Retrying("overloaded", "Busy.", attempt=2, max_attempts=10), "tries again (2 of 10)"),
        (ev.TurnEnded("t", "limited"), "Turn limited"),
        (ev.Notice("a warning", "warning"), "a warning"),
        (ev.Unparsed('{"odd": 1}'), "unknown line"),
        (ev.Exited("crashed", 137, "killed"), "Crashed · exit 137 · killed"),
        (ev.Quota([ev.QuotaWindow("five_hour", 92.0)], "warning"), "five hour 92 %"),
    ],
)
def test_every_kind_of_event_is_written_out(event: ev.Event, words: str) -> None:
    text = " ".join(seen(event).get_text(" ").split())
    assert words in text


@pytest.mark.parametrize(
    "event", [ev.TurnStarted("t"), ev.Usage("m"), ev.Quota([]), ev.Text("m", "")]
)
def test_what_says_nothing_is_not_seen(event: ev.Event) -> None:
    assert not seen(event).select(".r")


def test_a_very_long_piece_is_cut_and_says_so() -> None:
    page = seen(ev.ToolOutput("c", "x" * 1_000_000))
    assert len(str(page)) < 30_000
    assert "980k more characters" in page.text


def test_a_frame_says_what_it_holds() -> None:
    records = make.records(ev.Text("m", "a"), ev.Usage("m"), first=7)
    frame = json.loads(logview.frame(records, "s-1"))
    assert (frame["first"], frame["last"]) == (7, 8)
    assert frame["at_ms"] == int(records[-1].at.timestamp() * 1000)
    assert 'data-seq="7"' in frame["html"]


def test_a_tools_arguments_are_listed_but_its_title_only_once() -> None:
    call = ev.ToolCall("c", "Edit", "edit", "a.py", {"file_path": "a.py", "new": "x\n", "n": 3})
    page = seen(call)
    assert [arg.text.strip() for arg in page.select(".arg")] == ["new", "n"]
