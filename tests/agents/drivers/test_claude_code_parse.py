"""The parser on recorded streams of the real program."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from agents.drivers.claude_code_parse import Parser
from agents.events import (
    Event,
    Failed,
    Notice,
    PermissionRequested,
    PermissionResolved,
    Quota,
    Retrying,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    TurnEnded,
    TurnStarted,
    Unparsed,
    Usage,
)

STREAMS = Path(__file__).parents[2] / "fixtures/streams/claude_code"
OK = ("completed", None)
STOPPED = ("interrupted", None)
ENDS = {
    "happy": [OK],
    "partial": [OK],
    "warn": [OK],
    "steer": [OK],
    "permissions": [OK] * 8,
    "interrupt": [STOPPED, STOPPED, OK, STOPPED, OK, STOPPED],
    "limited": [("limited", "limit")],
    "failover": [("limited", "limit"), OK],
    "400": [("failed", "billing")],
    "401": [("failed", "auth")],
    "403": [("failed", "auth")],
    "429": [("failed", "throttle")],
    "429x2": [OK],
    "500": [("failed", "overloaded")],
    "503": [("failed", "overloaded")],
    "529": [("failed", "overloaded")],
    "529x2": [OK],
    "ctx": [("failed", "context")],
    "drop": [OK],
    "dropearly": [("failed", "network")],
    "dropx1": [OK],
    "sseerr": [OK],
    "sseerrx1": [OK],
}


def lines(name: str) -> Iterator[bytes]:
    yield from (STREAMS / f"{name}.ndjson").read_bytes().splitlines()


def events(name: str, parser: Parser | None = None) -> list[Event]:
    parser = parser or Parser("/home/dev/lab/wt/c1")
    return [event for line in lines(name) for event in parser.read(line)[1]]


def of(kind: type, rows: list[Event]) -> list:
    return [row for row in rows if isinstance(row, kind)]


@pytest.mark.parametrize("name", ENDS)
def test_it_ends_each_recorded_turn_rightly(name: str) -> None:
    rows = events(name)
    assert [(row.outcome, row.error) for row in of(TurnEnded, rows)] == ENDS[name]
    cut = 1 if name == "failover" else 0  # its recording stops within a turn
    assert len(of(TurnStarted, rows)) == len(ENDS[name]) + cut
    assert len(of(Failed, rows)) == sum(error is not None for _, error in ENDS[name])
    assert not of(Unparsed, rows)


@pytest.mark.parametrize("name", ENDS)
def test_its_tokens_and_cost_are_the_vendors_own(name: str) -> None:
    usage = of(Usage, events(name))
    results = [row for row in map(json.loads, lines(name)) if row["type"] == "result"]
    # `result.usage` has what streams told that broke; the sums by model leave it out.
    sums = [end["usage"] for end in results]
    assert sum(row.input_tokens for row in usage) == sum(row["input_tokens"] for row in sums)
    assert sum(row.output_tokens for row in usage) == sum(row["output_tokens"] for row in sums)
    assert sum(row.cache_write_tokens for row in usage) == sum(
        row["cache_creation_input_tokens"] for row in sums
    )
    assert sum(row.cache_read_tokens for row in usage) == sum(
        row["cache_read_input_tokens"] for row in sums
    )
    cost = sum(row.cost_usd or 0 for row in usage)
    assert cost == pytest.approx(results[-1]["total_cost_usd"])


def test_every_recorded_stream_is_in_the_table() -> None:
    assert {path.stem for path in STREAMS.glob("*.ndjson")} == set(ENDS)


def test_it_says_what_tools_do() -> None:
    rows = events("happy")
    write, commit = of(ToolCall, rows)
    assert (write.name, write.tool, write.title) == ("Write", "edit", "hello.txt")
    assert (commit.name, commit.tool) == ("Bash", "execute")
    assert (
        commit.title == "git add -A && git commit -m 'Add hello.txt' && git log --oneline | head -3"
    )
    assert [row.exit_code for row in of(ToolResult, rows)] == [None, 0]
    assert "8380583 Add hello.txt" in of(ToolResult, rows)[1].output


def test_it_joins_pieces_and_closes_each_text_once() -> None:
    rows = events("partial")
    assert "".join(row.text for row in of(Text, rows)) == "Thought about it."
    assert "".join(row.text for row in of(Thinking, rows)) == "Let me think about this carefully."
    assert [row.final for row in of(Text, rows)] == [False, False, False, True]
    assert len({row.message_id for row in of(Text, rows)}) == 1
    assert of(TurnEnded, rows)[0].summary == "Thought about it."


def test_it_reads_quota_windows() -> None:
    reading = of(Quota, events("warn"))[0]
    assert reading.status == "warning"
    assert [(row.kind, row.used_percent, row.window_minutes) for row in reading.windows] == [
        ("five_hour", 92.0, 300),
        ("seven_day", 41.0, 10080),
    ]
    assert reading.windows[0].resets_at == datetime.fromtimestamp(1795380975, UTC)


def test_it_says_when_a_limit_ends() -> None:
    rows = events("limited")
    resets_at = datetime.fromtimestamp(1795380976, UTC)
    assert of(Quota, rows)[0].status == "rejected"
    assert of(Failed, rows) == [
        Failed("limit", "You've hit your 5-hour limit · resets 8:56pm (UTC)", resets_at)
    ]
    assert of(TurnEnded, rows)[0].resets_at == resets_at


def test_a_429_with_room_in_every_window_is_a_throttle() -> None:
    parser = Parser("/")
    parser.begin("turn")
    rows: list[Event] = []
    for line in lines("limited"):
        row = json.loads(line)
        if windows := row.get("rate_limit_info", {}).get("unifiedWindows"):
            windows["five_hour"] |= {"utilization": 0.31, "status": "allowed"}
        rows += parser.read(json.dumps(row).encode())[1]
    assert of(Quota, rows)[0].status == "warning"
    assert (of(TurnEnded, rows)[0].outcome, of(TurnEnded, rows)[0].error) == ("failed", "throttle")


def test_it_shows_the_vendors_own_retries() -> None:
    first = of(Retrying, events("529x2"))[0]
    assert (first.error, first.attempt, first.max_attempts) == ("overloaded", 1, 3)
    assert 0.4 < first.delay_seconds < 0.7


def test_it_asks_and_remembers_the_question() -> None:
    parser = Parser("/home/dev/lab/wt/c3")
    rows = events("permissions", parser)
    asked = of(PermissionRequested, rows)
    assert [(row.tool, row.title) for row in asked] == [
        ("edit", "perm.txt"),
        ("execute", "mkdir -p zzz-deny"),
        ("execute", "mkdir -p zzz-rewrite"),
        ("execute", "mkdir -p zzz-always"),
    ]
    assert asked[0].call_id in {row.call_id for row in of(ToolCall, rows)}


def test_an_ended_turn_withdraws_its_questions() -> None:
    parser = Parser("/")
    parser.begin("turn")
    request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "ls"}}
    ask = {"type": "control_request", "request_id": "q1", "request": request}
    parser.read(msgspec.json.encode(ask))
    assert list(parser.questions) == ["q1"]
    cancel = {"type": "control_cancel_request", "request_id": "q1"}
    assert [
        row.request_id
        for row in of(PermissionResolved, parser.read(json.dumps(cancel).encode())[1])
    ] == ["q1"]
    assert not parser.questions
    parser.read(msgspec.json.encode(ask))
    resolved, ended = parser.finish(TurnEnded("turn", "interrupted"))
    assert isinstance(resolved, PermissionResolved)
    assert isinstance(ended, TurnEnded)


def test_a_question_in_words_is_titled_by_its_words() -> None:
    request = {
        "subtype": "can_use_tool",
        "tool_name": "AskUserQuestion",
        "input": {"questions": [{"question": "Which database?", "options": []}]},
    }
    line = {"type": "control_request", "request_id": "q1", "request": request}
    (asked,) = Parser("/").read(json.dumps(line).encode())[1]
    assert isinstance(asked, PermissionRequested)
    assert asked.title == "Which database?"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"plain words",
        b"\xff\xfe broken",
        b"[1, 2]",
        b'"text"',
        b"null",
        b'{"no": "type"}',
        b'{"type": "unheard_of"}',
        b'{"type": "system", "subtype": "unheard_of"}',
        b'{"type": "assistant", "message": 7}',
        b'{"type": "assistant", "message": {"id": "m", "content": [{}]}}',
        b'{"type": "user", "message": {"content": [{"type": "tool_result"}]}}',
        b'{"type": "rate_limit_event", "rate_limit_info": {"unifiedWindows": 3}}',
        b'{"type": "control_request"}',
        b'{"type": {}}',
        b"[" * 100_000,
    ],
)
def test_it_survives_what_it_does_not_know(line: bytes) -> None:
    parser = Parser("/")
    parser.begin("turn")
    (row,) = parser.read(line)[1]
    assert isinstance(row, Unparsed)
    assert len(row.text) < 5_000
    assert of(TurnEnded, [row for line in lines("happy") for row in parser.read(line)[1]])


def test_success_in_name_only_is_a_failure() -> None:
    for result in (
        {"subtype": "success", "is_error": True, "api_error_status": 500},
        {"subtype": "success", "is_error": False, "terminal_reason": "api_error"},
        {"subtype": "error_max_turns", "is_error": False},
        {"subtype": "success", "is_error": False, "terminal_reason": "a_new_reason"},
        {"subtype": "error_during_execution", "is_error": True, "errors": ["boom"]},
    ):
        parser = Parser("/")
        parser.begin("turn")
        rows = parser.read(json.dumps({"type": "result", **result}).encode())[1]
        assert of(TurnEnded, rows)[0].outcome == "failed", result
        assert of(Failed, rows)[0].message


def test_an_interrupt_in_mid_sentence_counts_what_was_read() -> None:
    parser = Parser("/")
    rows: list[Event] = []
    for line in lines("partial"):
        row = json.loads(line)
        if row["type"] == "result":
            row |= {"terminal_reason": "aborted_streaming", "is_error": True}
            row |= {"model_usage_since_last_result": {}}
        if row.get("event", {}).get("type") != "message_delta":
            rows += parser.read(json.dumps(row).encode())[1]
    assert of(TurnEnded, rows)[0].outcome == "interrupted"
    assert [(row.input_tokens, row.cache_write_tokens) for row in of(Usage, rows)] == [(12, 1500)]


def test_a_huge_output_is_cut_with_a_marker() -> None:
    block = {"type": "tool_result", "tool_use_id": "t", "content": "x" * 300_000}
    line = json.dumps({"type": "user", "message": {"content": [block]}}).encode()
    (result,) = Parser("/").read(line)[1]
    assert isinstance(result, ToolResult)
    assert len(result.output) < 263_000
    assert result.output.endswith("[cut: 37,856 more characters]")


def test_notices_of_the_program_are_shown() -> None:
    line = b'{"type":"system","subtype":"informational","content":"Falling back to another model"}'
    assert Parser("/").read(line)[1] == [Notice("Falling back to another model", level="warning")]
