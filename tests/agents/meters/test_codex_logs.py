"""The counting rules of Codex's rollouts, one by one."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.meters.base import UsageRecord
from agents.meters.codex_logs import CodexLogs
from agents.meters.ledger import MemoryLedger

PARENT, CHILD, GRANDCHILD = (f"01a20587-1f3f-7070-8c36-76{digit}be5c4284f" for digit in "567")
NEVER = "2026-11-22T23:11:12.609Z"


def line(type_: str, payload: dict[str, Any], at: str = NEVER) -> bytes:
    return json.dumps({"timestamp": at, "ordinal": 3, "type": type_, "payload": payload}).encode()


def meta(thread: str, **more: Any) -> bytes:
    return line("session_meta", {"id": thread, "source": "vscode", **more})


def context(model: str) -> bytes:
    return line("turn_context", {"model": model, "cwd": "/somewhere"})


def vector(count: int) -> dict[str, int]:
    """The counters after `count` equal calls of 100 in (60 cached, 30 written), 7 out."""
    one = {
        "input_tokens": 100,
        "cached_input_tokens": 60,
        "cache_write_input_tokens": 30,
        "output_tokens": 7,
        "reasoning_output_tokens": 2,
        "total_tokens": 107,
    }
    return {name: value * count for name, value in one.items()}


def counts(total: int | None, last: int | None = 1, at: str = NEVER) -> bytes:
    info: dict[str, Any] = {"model_context_window": 258400}
    if total is not None:
        info["total_token_usage"] = vector(total)
    if last is not None:
        info["last_token_usage"] = vector(last)
    return line("event_msg", {"type": "token_count", "info": info, "rate_limits": None}, at)


def read(*lines: bytes, thread: str = PARENT) -> list[UsageRecord]:
    path = Path(f"/sessions/2026/11/22/rollout-2026-11-22T23-11-11-{thread}.jsonl")
    lines_of_file = CodexLogs().start(path, b"")
    return [record for line in lines if (record := lines_of_file.read(line)) is not None]


def calls(*files: list[bytes]) -> int:
    """How many of the equal calls a ledger counts."""
    ledger = MemoryLedger()
    for lines in files:
        ledger.add(read(*lines))
    return sum(record.total_tokens for record in ledger.records) // 107


def test_cached_and_written_input_are_not_fresh_and_reasoning_is_output() -> None:
    [record] = read(meta(PARENT), context("gpt-5"), counts(1))
    assert (record.input_tokens, record.cache_write_tokens, record.cache_read_tokens) == (
        10,
        30,
        60,
    )
    assert (record.output_tokens, record.reasoning_tokens, record.total_tokens) == (7, 2, 107)
    assert (record.session_id, record.model) == (PARENT, "gpt-5")


def test_totals_are_cumulative_and_the_last_call_counts() -> None:
    assert [r.total_tokens for r in read(counts(1, 1), counts(3, 2), counts(4, 1))] == [
        107,
        214,
        107,
    ]


def test_without_the_last_call_it_is_the_difference() -> None:
    records = read(counts(1, None), counts(3, None), counts(2, None))
    assert [r.total_tokens for r in records] == [107, 214, 214]  # at last the count began anew


def test_a_repeated_total_is_no_call() -> None:
    assert len(read(counts(1), counts(1), counts(1, 2), counts(2), counts(2))) == 2


def test_a_report_of_limits_alone_is_no_call() -> None:
    limits = {"type": "token_count", "info": None, "rate_limits": {"primary": None}}
    assert read(line("event_msg", limits), line("event_msg", {"type": "token_count"})) == []


def test_the_model_is_that_of_the_turn() -> None:
    lines = [context("one"), counts(1), context("two"), counts(2), counts(3)]
    assert [record.model for record in read(counts(9), *lines)] == ["", "one", "two", "two"]


@pytest.mark.parametrize(
    "named",
    [
        {"forked_from_id": PARENT},
        {"parent_thread_id": PARENT},
        {"source": {"subagent": {"thread_spawn": {"parent_thread_id": PARENT, "depth": 1}}}},
    ],
)
def test_a_forks_copy_of_its_parents_calls_does_not_count(named: dict[str, Any]) -> None:
    parent = [meta(PARENT), counts(1), counts(2), counts(3)]
    copied = [meta(CHILD, **named), meta(PARENT), counts(1), counts(2), counts(3)]
    later = "2026-11-22T23:59:59Z"  # copies are written with their own times or with the fork's
    stamped = [meta(CHILD, **named), counts(1, 1, later), counts(2, 1, later)]
    assert calls(parent, [*copied, counts(4), counts(5)]) == 5
    assert calls(parent, [*stamped, counts(3, 1, later), counts(4)]) == 4


def test_two_forks_of_a_parent_that_is_gone_count_its_calls_once() -> None:
    copied = [counts(1), counts(2)]
    one = [meta(CHILD, forked_from_id=PARENT), *copied, counts(4, 2)]
    two = [meta(GRANDCHILD, forked_from_id=PARENT), *copied, counts(5, 3)]
    assert calls(one, two) == 2 + 2 + 3


def test_a_parent_found_later_takes_its_calls_back() -> None:
    ledger = MemoryLedger()
    ledger.add(read(meta(CHILD, forked_from_id=PARENT), counts(1), counts(2)))
    changes = ledger.add(read(meta(PARENT), counts(1)))
    assert [(c.sign, c.record.session_id) for c in changes] == [(-1, CHILD), (1, PARENT)]


def test_a_fork_of_a_fork_copies_both() -> None:
    parent = [meta(PARENT), counts(1)]
    child = [meta(CHILD, forked_from_id=PARENT), meta(PARENT), counts(1), counts(2)]
    grandchild = [meta(GRANDCHILD, forked_from_id=CHILD), *child, counts(3)]
    assert calls(parent, child, grandchild) == 3
    assert calls(parent, grandchild) == 3  # the one between is gone


def test_a_sub_agent_that_counts_from_zero_counts_whole() -> None:
    parent = [meta(PARENT), counts(2, 2), counts(3)]
    child = [meta(CHILD, forked_from_id=PARENT), counts(1), counts(4, 3)]
    assert calls(parent, child) == 3 + 4


def test_a_fork_that_copies_nothing_counts_whole_even_if_it_does_what_its_parent_did() -> None:
    """As version 0.163 writes it: total and ordinals go on from the parent's."""
    parent = [meta(PARENT), counts(1), counts(2)]
    own = counts(2).replace(b'"ordinal": 3', b'"ordinal": 30')
    child = [meta(CHILD, forked_from_id=PARENT, forked_from_ordinal_exclusive=23), own]
    assert calls(parent, child) == 3
    copied = [meta(CHILD, forked_from_id=PARENT, forked_from_ordinal_exclusive=23), counts(2), own]
    assert calls(parent, copied) == 2  # an ordinal below, so a copy; and its repeated total


def test_threads_with_equal_numbers_are_not_each_others_copies() -> None:
    assert calls([meta(PARENT), counts(1)], [meta(CHILD), counts(1)]) == 2


def test_a_thread_that_names_itself_is_no_fork() -> None:
    assert not read(meta(PARENT, forked_from_id=PARENT), counts(1))[0].is_secondary


def test_it_goes_on_from_its_state() -> None:
    lines = [meta(CHILD, forked_from_id=PARENT), context("one"), counts(2, None), counts(3, None)]
    path = Path(f"/sessions/rollout-x-{CHILD}.jsonl")
    state, records = b"", []
    for text in lines:
        reader = CodexLogs().start(path, state)
        records.append(reader.read(text))
        state = reader.state()
    assert [record for record in records if record] == read(*lines, thread=CHILD)


def test_without_a_meta_line_the_file_names_the_thread() -> None:
    assert read(counts(1), thread=CHILD)[0].session_id == CHILD


@pytest.mark.parametrize(
    "text",
    [
        counts(1)[:-30],
        counts(1, 1, "soon"),
        line("event_msg", {"type": "token_count", "info": [1]}),
        counts(-1),
        line("turn_context", {"model": 5}),
        b'{"type":"session_meta"}',
    ],
)
def test_what_is_no_line_raises(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read(text)


def test_sessions_win_over_their_archived_copies(tmp_path: Path) -> None:
    kept, both = "rollout-2026-11-01T00-00-00-a.jsonl", "rollout-2026-11-02T00-00-00-b.jsonl"
    names = [
        f"archived_sessions/{kept}",
        f"archived_sessions/{both}",
        f"sessions/2026/11/02/{both}",
    ]
    for name in [*names, "sessions/2026/11/02/other.jsonl"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert CodexLogs().find(tmp_path) == [tmp_path / names[0], tmp_path / names[2]]
