"""Recorded and constructed app-server messages, and the events that they are."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.drivers.codex_items import OUTPUT_LIMIT, script
from agents.drivers.codex_limits import error_kind, readable
from agents.drivers.codex_parse import Parser
from agents.drivers.codex_questions import Question, asked
from agents.events import (
    Event,
    Failed,
    Notice,
    Quota,
    Retrying,
    Text,
    Thinking,
    ToolCall,
    ToolOutput,
    ToolResult,
    TurnEnded,
    TurnStarted,
    Unparsed,
    Usage,
)

STREAMS = Path(__file__).parents[2] / "fixtures" / "streams" / "codex"
RECORDED = sorted(path.stem for path in STREAMS.glob("*.ndjson"))
WORKTREE = "/srv/worktree"


def replay(name: str) -> list[Event]:
    """The events of a recorded thread (codex 0.169; commands and a steer of its own included)."""
    parser, events = Parser(WORKTREE, "gpt-scripted"), list[Event]()
    for line in (STREAMS / f"{name}.ndjson").read_bytes().splitlines():
        message = msgspec.json.decode(line)
        params = message["params"]
        parser.thread_id = parser.thread_id or params.get("threadId", "")
        if "id" in message:
            question = asked(Question(message["id"], message["method"], params), parser.call)
            assert question is not None
            events.append(question)
        else:
            events += parser.notification(message["method"], params)
    return events


def of(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


class Thread:
    """A parser with a running turn."""

    def __init__(self) -> None:
        self.parser = Parser(WORKTREE, "gpt-scripted")
        self.parser.thread_id = "t"
        self.parser.begin("turn-1")

    def __call__(self, method: str, **params: Any) -> list[Event]:
        return self.parser.notification(method, {"threadId": "t", "turnId": "turn-1", **params})

    def item(self, **item: Any) -> list[Event]:
        """Both ends of an item."""
        return [*self("item/started", item=item), *self("item/completed", item=item)]

    def end(self, status: str = "completed", **error: Any) -> list[Event]:
        turn = {"id": "turn-1", "status": status, "error": error or None}
        return self("turn/completed", turn=turn)


@pytest.fixture
def thread() -> Thread:
    return Thread()


@pytest.mark.parametrize("name", RECORDED)
def test_it_reads_a_recorded_thread(name: str) -> None:
    expected = msgspec.json.decode(
        (STREAMS / f"{name}.expected.json").read_bytes(), type=list[Event]
    )
    events = replay(name)
    assert events == expected
    assert not of(Unparsed, events)
    assert len(of(TurnStarted, events)) == len(of(TurnEnded, events)) == 1
    finals = [event.message_id for event in of(Text, events) if event.final]
    assert sorted(finals) == sorted({event.message_id for event in of(Text, events)})
    assert {call.call_id for call in of(ToolCall, events)} == {
        result.call_id for result in of(ToolResult, events)
    }


@pytest.mark.parametrize(
    ("name", "kind", "retries"),
    [
        ("400", "invalid", 0),
        ("401", "auth", 2),
        ("403", "auth", 2),
        ("429", "throttle", 2),
        ("500", "overloaded", 2),
        ("503", "overloaded", 0),
        ("529", "overloaded", 2),
        ("context", "context", 0),
        ("drop", "network", 2),
        ("drop_early", "network", 2),
        ("sse_error", "overloaded", 0),
    ],
)
def test_a_recorded_failure_has_its_kind(name: str, kind: str, retries: int) -> None:
    events = replay(name)
    assert [(row.error, row.retryable) for row in of(Failed, events)] == [
        (kind, kind not in ("invalid", "auth", "context"))
    ]
    assert [(row.outcome, row.error) for row in of(TurnEnded, events)] == [("failed", kind)]
    numbers = [(row.error, row.attempt, row.max_attempts) for row in of(Retrying, events)]
    assert numbers == [(kind, number + 1, 2) for number in range(retries)]


def test_a_limit_is_no_failure_and_tells_its_reset() -> None:
    events = replay("limited")
    reset = datetime(2026, 11, 22, 21, 11, 34, tzinfo=UTC)
    (ended,) = of(TurnEnded, events)
    assert (ended.outcome, ended.error, ended.resets_at) == ("limited", "limit", reset)
    (quota,) = of(Quota, events)
    assert quota.status == "rejected"
    assert [(w.kind, w.used_percent) for w in quota.windows] == [
        ("five_hour", 100),
        ("seven_day", 77),
    ]


def test_usage_is_of_each_call_and_its_counters_do_not_overlap() -> None:
    rows = of(Usage, replay("happy"))
    counted = [(r.input_tokens, r.cache_read_tokens, r.output_tokens) for r in rows]
    assert counted == [(2300, 0, 67), (300, 2600, 60), (300, 3000, 11)]
    assert all(row.model == "gpt-scripted" for row in rows)


def test_usage_is_told_once_and_not_for_what_was_before(thread: Thread) -> None:
    fresh = Parser(WORKTREE)
    fresh.thread_id = "t"
    told = {"tokenUsage": spent(1000), "threadId": "t", "turnId": "old"}
    assert fresh.notification("thread/tokenUsage/updated", told) == []
    fresh.begin("turn-1")
    assert fresh.notification("thread/tokenUsage/updated", told) == []
    assert len(fresh.notification("thread/tokenUsage/updated", {**told, "tokenUsage": spent(2)}))
    assert len(thread("thread/tokenUsage/updated", tokenUsage=spent(1000))) == 1
    assert thread("thread/tokenUsage/updated", tokenUsage=spent(1000)) == []


def test_a_helpers_tokens_count_but_its_words_do_not(thread: Thread) -> None:
    other = {"threadId": "helper", "turnId": "turn-9"}
    assert thread("item/agentMessage/delta", **other, itemId="m", delta="x") == []
    assert thread("turn/completed", **other, turn={"id": "turn-9", "status": "completed"}) == []
    assert thread.parser.turn_id == "turn-1"
    (usage,) = thread("thread/tokenUsage/updated", **other, tokenUsage=spent(10))
    assert isinstance(usage, Usage)


def test_a_quota_update_passes_on_what_it_told_and_nothing_else(thread: Thread) -> None:
    assert thread("account/rateLimits/updated", rateLimits={"primary": None}) == []
    (first,) = thread("account/rateLimits/updated", rateLimits={"primary": window(31, 300)})
    assert [w.kind for w in of(Quota, [first])[0].windows] == ["five_hour"]
    later = {"primary": window(31, 300, resets_at=1_795_381_675), "secondary": None}
    assert thread("account/rateLimits/updated", rateLimits=later) == []
    (other,) = thread("account/rateLimits/updated", rateLimits={"secondary": window(91, 10080)})
    (quota,) = of(Quota, [other])
    assert [(w.kind, w.used_percent) for w in quota.windows] == [("seven_day", 91)]
    assert quota.status == "warning"
    odd = {"limitId": "codex_other", "primary": window(100, 60)}
    (third,) = of(Quota, thread("account/rateLimits/updated", rateLimits=odd))
    assert [w.kind for w in third.windows] == ["60m_codex_other"]
    assert third.status == "warning", "a family of models that is used up closes no account"


def test_a_sparse_update_keeps_its_slots_length(thread: Thread) -> None:
    weekly = {"primary": window(31, 10080)}  # the slot tells nothing of the length
    assert thread("account/rateLimits/updated", rateLimits=weekly)
    bare = {"primary": {"usedPercent": 32, "windowDurationMins": None, "resetsAt": None}}
    (quota,) = of(Quota, thread("account/rateLimits/updated", rateLimits=bare))
    (reading,) = quota.windows
    assert (reading.kind, reading.used_percent, reading.window_minutes) == ("seven_day", 32, 10080)
    silent = {"primary": {"usedPercent": None, "windowDurationMins": 10080}}
    assert thread("account/rateLimits/updated", rateLimits=silent) == []


@pytest.mark.parametrize(
    "row",
    [
        {"usedPercent": 40, "windowDurationMins": 18_000, "resetsAt": 1_795_381_660},  # seconds
        {"usedPercent": 40, "windowDurationMins": 300, "resetsAt": 1_795_381_660_000},
        {"usedPercent": "40", "windowDurationMins": "300", "resetsAt": "2026-11-22T21:07:40Z"},
    ],
)
def test_a_meter_in_the_wrong_unit_is_read(thread: Thread, row: dict[str, object]) -> None:
    (quota,) = of(Quota, thread("account/rateLimits/updated", rateLimits={"primary": row}))
    (reading,) = quota.windows
    assert (reading.kind, reading.used_percent, reading.window_minutes) == ("five_hour", 40, 300)
    assert reading.resets_at == datetime.fromtimestamp(1_795_381_660, UTC)


def test_reasoning_is_thinking_and_its_parts_stand_apart(thread: Thread) -> None:
    piece = {"itemId": "r", "summaryIndex": 0}
    events = thread("item/reasoning/summaryPartAdded", **piece)
    events += thread("item/reasoning/summaryTextDelta", **piece, delta="One.")
    events += thread("item/reasoning/summaryPartAdded", **piece)
    events += thread("item/reasoning/summaryTextDelta", **piece, delta="Two.")
    whole = {"type": "reasoning", "id": "r", "summary": ["One.", "Two."], "content": []}
    events += thread("item/completed", item=whole)
    assert "".join(event.text for event in of(Thinking, events)) == "One.\n\nTwo."
    assert [event.final for event in of(Thinking, events)] == [False, False, False, True]
    assert thread("item/completed", item={**whole, "id": "empty", "summary": []}) == []


def test_a_message_without_pieces_is_told_whole(thread: Thread) -> None:
    item = {"type": "agentMessage", "id": "m", "text": "All of it."}
    assert thread("item/completed", item=item) == [Text("m", "All of it.", final=True)]
    assert thread.end() == [TurnEnded("turn-1", "completed", "All of it.")]


def test_a_patch_is_an_edit_with_its_paths(thread: Thread) -> None:
    changes = [
        {"path": f"{WORKTREE}/a.py", "kind": {"type": "update", "move_path": None}, "diff": "-a"},
        {"path": "/etc/b", "kind": {"type": "add"}, "diff": "b" * 100_000},
    ]
    call, result = thread.item(type="fileChange", id="p", changes=changes, status="failed")
    assert isinstance(call, ToolCall)
    assert (call.tool, call.title) == ("edit", "a.py, /etc/b")
    assert len(msgspec.json.encode(call)) < 40_000
    assert result == ToolResult("p", is_error=True)


@pytest.mark.parametrize(
    ("item", "tool", "title", "output", "is_error"),
    [
        (
            {
                "type": "mcpToolCall",
                "server": "wiki",
                "tool": "find",
                "arguments": {"q": "x"},
                "status": "completed",
                "result": {"content": [{"type": "text", "text": "found"}]},
            },
            "other",
            'wiki.find {"q": "x"}',
            "found",
            False,
        ),
        (
            {
                "type": "mcpToolCall",
                "server": "wiki",
                "tool": "find",
                "arguments": {},
                "status": "failed",
                "error": {"message": "gone"},
            },
            "other",
            "wiki.find {}",
            "gone",
            True,
        ),
        ({"type": "webSearch", "query": "asyncio"}, "search", "asyncio", "", False),
        ({"type": "imageView", "path": "/srv/a.png"}, "read", "/srv/a.png", "", False),
        (
            {"type": "dynamicToolCall", "tool": "t", "success": False, "status": "completed"},
            "other",
            "t",
            "",
            True,
        ),
        ({"type": "sleep", "durationMs": 1500}, "other", "1.5 s", "", False),
    ],
)
def test_other_items_are_calls_too(
    thread: Thread, item: Any, tool: str, title: str, output: str, is_error: bool
) -> None:
    call, result = thread.item(**item, id="c")
    assert isinstance(call, ToolCall)
    assert (call.tool, call.title) == (tool, title)
    assert result == ToolResult("c", output, is_error)


def test_a_failed_command_carries_its_exit_code(thread: Thread) -> None:
    ran = {"type": "commandExecution", "id": "c", "command": "/bin/bash -lc 'make  test'"}
    end = {"status": "failed", "exitCode": 2, "aggregatedOutput": "no rule"}
    call, result = thread.item(**ran, cwd=WORKTREE, **end)
    assert isinstance(call, ToolCall)
    assert (call.tool, call.title) == ("execute", "make test")
    assert result == ToolResult("c", "no rule", is_error=True, exit_code=2)


def test_streamed_output_is_not_repeated_and_is_cut(thread: Thread) -> None:
    item = {"type": "commandExecution", "id": "c", "command": "yes", "cwd": "", "status": ""}
    thread("item/started", item=item)
    events = []
    for _ in range(5):
        piece = "x" * 100_000
        events += thread("item/commandExecution/outputDelta", itemId="c", delta=piece)
    events += thread("item/completed", item={**item, "aggregatedOutput": "x" * 500_000})
    told = "".join(event.text for event in of(ToolOutput, events))
    assert told.startswith("x" * OUTPUT_LIMIT)
    assert told.count("[cut at 256 KB") == 1
    assert of(ToolResult, events) == [ToolResult("c")]


def test_an_interrupt_closes_what_is_open_once(thread: Thread) -> None:
    item = {"type": "commandExecution", "id": "c", "command": "sleep 9", "cwd": "", "status": ""}
    thread("item/started", item=item)
    thread("item/agentMessage/delta", itemId="m", delta="Hal")
    assert thread.end("interrupted") == [
        Text("m", "", final=True),
        ToolResult("c", "The turn ended before this did.", is_error=True),
        TurnEnded("turn-1", "interrupted"),
    ]
    assert thread("item/completed", item=item) == [], "its real end comes late"


def test_a_turn_begins_once_however_it_is_told() -> None:
    parser = Parser()
    assert parser.begin("turn-1") == [TurnStarted("turn-1")]
    turn = {"turn": {"id": "turn-1", "status": "completed"}}
    assert parser.notification("turn/started", turn) == []
    parser.notification("turn/completed", turn)
    assert parser.begin("turn-1") == [], "the answer may come after the end"


def test_death_ends_the_turn_as_failed(thread: Thread) -> None:
    failure = Failed("crashed", "gone")
    ended = TurnEnded("turn-1", "failed", "", "crashed")
    assert thread.parser.cut_short("failed", failure) == [failure, ended]
    assert thread.parser.cut_short("failed", failure) == [failure], "idle: no turn to end"


def test_a_plan_is_a_call_that_is_done(thread: Thread) -> None:
    steps = [
        {"step": "read", "status": "completed"},
        {"step": "write", "status": "inProgress"},
    ]
    call, result = thread("turn/plan/updated", plan=steps)
    assert isinstance(call, ToolCall)
    assert call.title == "1/2 write"
    assert result == ToolResult("plan-1", "completed: read\ninProgress: write")


def test_warnings_are_told_once(thread: Thread) -> None:
    assert thread("warning", message="careful") == [Notice("careful", "warning")]
    assert thread("warning", message="careful") == []
    assert thread("configWarning", summary="odd", details="key") == [Notice("odd key", "warning")]
    (compacted,) = thread("item/completed", item={"type": "contextCompaction", "id": "x"})
    assert isinstance(compacted, Notice)


@pytest.mark.parametrize("method", ["thread/status/changed", "hook/started", "account/updated"])
def test_chatter_is_left_out(thread: Thread, method: str) -> None:
    assert thread(method, anything=1) == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("galaxy/exploded", {"why": "unknown"}),
        ("item/completed", {"item": {"type": "novelty", "id": "n"}}),
        ("item/completed", {"no": "item"}),
        ("turn/completed", {"turn": None}),
        ("thread/tokenUsage/updated", {"tokenUsage": {"total": 1}}),
    ],
)
def test_what_no_rule_knows_is_kept_and_breaks_nothing(
    thread: Thread, method: str, params: dict[str, Any]
) -> None:
    (event,) = thread(method, **params)
    assert isinstance(event, Unparsed)
    assert thread("warning", message="still here")


@pytest.mark.parametrize(
    ("info", "message", "kind"),
    [
        ("usageLimitExceeded", "You've hit your usage limit.", "limit"),
        ("usageLimitExceeded", "Quota exceeded. Check your plan and billing details.", "billing"),
        ("rateLimitExceeded", "", "throttle"),
        ("unauthorized", "", "auth"),
        ("cyberPolicy", "", "invalid"),
        ({"httpConnectionFailed": {"httpStatusCode": 402}}, "", "billing"),
        ({"httpConnectionFailed": {"httpStatusCode": 404}}, "", "invalid"),
        ({"responseTooManyFailedAttempts": {"httpStatusCode": 503}}, "", "overloaded"),
        ({"responseTooManyFailedAttempts": {"httpStatusCode": None}}, "", "network"),
        ({"activeTurnNotSteerable": {"turnKind": "review"}}, "", "invalid"),
        ("other", "unexpected status 401 Unauthorized: no", "auth"),
        ("other", "error sending request for url", "network"),
        ("other", "The model `x` does not exist", "invalid"),
        (None, "?", "invalid"),
    ],
)
def test_errors_have_kinds(info: object, message: str, kind: str) -> None:
    assert error_kind(info, message) == kind


def test_an_error_in_json_is_told_as_its_sentence() -> None:
    assert readable('{"error": {"message": "too long"}}') == "too long"
    assert readable("[1]") == "[1]"
    assert readable("plain") == "plain"


@pytest.mark.parametrize(
    ("command", "inner"),
    [
        ("/bin/bash -lc 'echo hi'", "echo hi"),
        ("/usr/bin/zsh -c ls", "ls"),
        ("python3 -c 'print(1)'", "print(1)"),
        ("git status", "git status"),
        ("echo 'unclosed", "echo 'unclosed"),
    ],
)
def test_the_shell_around_a_command_is_taken_off(command: str, inner: str) -> None:
    assert script(command) == inner


def spent(total: int) -> dict[str, Any]:
    last = {
        "inputTokens": 10,
        "cachedInputTokens": 4,
        "cacheWriteInputTokens": 3,
        "outputTokens": 2,
        "reasoningOutputTokens": 1,
    }
    return {"total": {"totalTokens": total}, "last": last}


def window(used: int, minutes: int, resets_at: int = 1_795_381_670) -> dict[str, Any]:
    return {"usedPercent": used, "windowDurationMins": minutes, "resetsAt": resets_at}
