"""The counting rules of Claude Code's logs, one by one."""

import json
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.meters.base import UsageRecord
from agents.meters.claude_logs import ClaudeLogs
from agents.meters.ledger import MemoryLedger

AT = "2026-11-22T23:30:31.944Z"


def row(
    message: str | None = "msg_1", request: str | None = "req_1", output: int = 10, **more: Any
) -> bytes:
    """An assistant's row as the program writes it, without what we don't read."""
    usage = {
        "input_tokens": 12,
        "cache_creation_input_tokens": 1500,
        "cache_read_input_tokens": 3600,
        "output_tokens": output,
    }
    said = {"id": message, "model": "claude-sonnet-5-5", "content": [], "usage": usage}
    line = {
        "isSidechain": False,
        "message": said,
        "requestId": request,
        "type": "assistant",
        "uuid": f"{message}-{request}-{output}",
        "timestamp": AT,
        "sessionId": "s1",
    }
    return json.dumps({key: value for key, value in {**line, **more}.items() if value}).encode()


def read(*lines: bytes, file: str = "s1") -> list[UsageRecord]:
    lines_of_file = ClaudeLogs().start(Path(f"/logs/{file}.jsonl"), b"")
    return [record for line in lines if (record := lines_of_file.read(line)) is not None]


def counted(*lines: bytes) -> list[UsageRecord]:
    ledger = MemoryLedger()
    ledger.add(read(*lines))
    return ledger.records


def test_it_keeps_the_four_counters_apart() -> None:
    [record] = read(row())
    assert record.at == datetime(2026, 11, 22, 23, 30, 31, 944000, tzinfo=UTC)
    assert (record.model, record.session_id) == ("claude-sonnet-5-5", "s1")
    assert (record.output_tokens, record.input_tokens) == (10, 12)
    assert (record.cache_write_tokens, record.cache_read_tokens) == (1500, 3600)
    assert record.total_tokens == 5122


def test_it_reads_thinking_the_hours_cache_and_the_vendors_cost() -> None:
    usage = {
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 300},
    }
    [record] = read(_with_usage(usage, costUSD=0.25))
    assert (record.reasoning_tokens, record.output_tokens, record.cost_usd) == (4, 9, 0.25)
    assert (record.cache_write_tokens, record.cache_write_hour_tokens) == (320, 300)


def _with_usage(usage: dict[str, Any], **more: Any) -> bytes:
    line = json.loads(row(**more))
    line["message"]["usage"] = usage
    return json.dumps(line).encode()


def test_an_answer_of_several_blocks_is_one_call() -> None:
    assert [record.output_tokens for record in counted(row(), row(), row())] == [10]


def test_the_same_answer_in_another_file_is_one_call() -> None:
    ledger = MemoryLedger()
    ledger.add(read(row(), file="s1"))
    assert ledger.add(read(row(sessionId="s2"), file="s2")) == []


def test_of_a_streamed_answer_the_fullest_row_counts() -> None:
    for lines in permutations([row(output=1), row(output=40), row(output=7)]):
        assert [record.output_tokens for record in counted(*lines)] == [40]


def test_a_fuller_row_corrects_what_was_counted() -> None:
    ledger = MemoryLedger()
    ledger.add(read(row(output=1)))
    changes = ledger.add(read(row(output=40)))
    assert [(change.sign, change.record.output_tokens) for change in changes] == [(-1, 1), (1, 40)]


def test_without_a_request_the_messages_id_is_the_key() -> None:
    assert len(counted(row(request=None), row(request=None))) == 1
    assert len(counted(row(request=None), row())) == 1
    assert len(counted(row(), row(request=None))) == 1
    assert len(counted(row("msg_1", None), row("msg_2", None))) == 2


def test_one_message_id_of_two_requests_is_two_calls() -> None:
    assert len(counted(row(request="req_1"), row(request="req_2"))) == 2


def test_a_side_conversations_replay_collapses_onto_the_main_one() -> None:
    main, side = row(), row(request="req_2", output=99, isSidechain=True, sessionId="side")
    for lines in ([main, side], [side, main]):
        [record] = counted(*lines)
        assert (record.session_id, record.output_tokens) == ("s1", 10)


def test_a_side_conversations_own_calls_count() -> None:
    assert len(counted(row(), row("msg_2", "req_2", isSidechain=True))) == 2


def test_of_equal_rows_the_dearer_counts() -> None:
    for lines in permutations([row(costUSD=0.1), row(costUSD=0.3), row()]):
        assert [record.cost_usd for record in counted(*lines)] == [0.3]


def test_a_sub_agents_row_inside_a_progress_row_counts_once() -> None:
    inner = json.loads(row("msg_7", "req_7"))
    del inner["sessionId"]
    progress = {"type": "agent_progress", "message": inner}
    outer = {"type": "progress", "sessionId": "s1", "timestamp": AT, "data": progress}
    wrapped = json.dumps(outer).encode()
    [record] = read(wrapped)
    assert (record.session_id, record.output_tokens) == ("s1", 10)
    [record] = counted(wrapped, row("msg_7", "req_7", isSidechain=True, sessionId="sub"))
    assert record.key == "claude:msg_7:req_7"


def test_rows_that_only_report_usage_do_not_count() -> None:
    report = json.loads(row())
    task = {"type": "user", "message": {"role": "user"}, "toolUseResult": report["message"]}
    hook = {"type": "progress", "data": {"type": "hook_progress", "usage": 3}}
    assert read(json.dumps(task).encode(), json.dumps(hook).encode()) == []


def test_the_programs_own_words_cost_nothing() -> None:
    usage = {"input_tokens": 0, "output_tokens": 0, "cache_creation": None}
    assert read(_with_usage(usage)) == []


def test_a_row_without_ids_is_counted_once_by_its_own() -> None:
    assert len(counted(row(None, None), row(None, None))) == 1
    assert len(counted(row(None, None), row(None, None, uuid="other"))) == 2
    assert read(row(sessionId=None), file="from-the-name")[0].session_id == "from-the-name"


@pytest.mark.parametrize(
    "line",
    [
        row()[:-20],
        row(timestamp=None),
        row(timestamp="yesterday"),
        row(output=-1),
        row(output=2**70),
        b'{"type":"assistant","message":"usage"}',
        b'{"type":"assistant","usage":1}',
        row().replace(b"msg_1", b"\xff\xfe"),
    ],
)
def test_what_is_no_row_raises(line: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        read(line)


def test_it_finds_sessions_and_their_sub_agents(tmp_path: Path) -> None:
    names = [
        "projects/-a/s1.jsonl",
        "projects/-a/s1/subagents/agent-1.jsonl",
        "projects/-b/s2.jsonl",
    ]
    for name in [*names, "projects/-a/notes.txt", "history.jsonl"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = ClaudeLogs().find(tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in found) == sorted(names)
    assert ClaudeLogs().find(tmp_path / "missing") == []
