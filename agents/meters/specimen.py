"""Logs as the vendors' programs write them, of any size, with a known number of tokens.

For tests and the benchmark. Most bytes are the results of tools, as in real logs; answers are
logged once for each content block, totals are repeated, and some files copy another's beginning.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

_FILE_BYTES = 3_000_000
_TURNS_KEPT = 3  # more than these in a file, whatever its size
_WORDS = (
    "def return self path None import assert value = ( ) : [ ] { } \n\t \"text\" 'x' # é → \\d+"
)


@dataclass(frozen=True)
class Written:
    """What was written: the distinct calls and their output, and all bytes, copies included."""

    calls: int
    output_tokens: int
    byte_count: int


@dataclass(frozen=True)
class _Turn:
    """A call of the model and the tool that it used: the lines, and the call's output tokens."""

    lines: list[str]
    output_tokens: int


Turns = Callable[[random.Random, str, str], Iterator[_Turn]]


def write_specimen(driver: str, config_dir: Path, byte_count: int, seed: int = 0) -> Written:
    """Write about `byte_count` bytes of a driver's logs below an empty directory."""
    chance = random.Random(seed)
    text = _text()
    name, head, turns = _FORMS[driver]
    calls = output = written = 0
    parent, copied = "", list[str]()  # what every fifth file begins with
    for number in count():
        thread = f"{number:08x}-1f3f-7070-8c36-{chance.getrandbits(48):012x}"
        path = config_dir / name(number, thread)
        path.parent.mkdir(parents=True, exist_ok=True)
        is_fork, is_copied = number % 5 == 4, False
        lines = [*head(thread, parent), *copied] if is_fork else head(thread, "")
        size, target = sum(map(len, lines)), min(_FILE_BYTES, byte_count // 8)
        for turn_number, turn in enumerate(turns(chance, thread, text)):
            lines += turn.lines
            calls, output = calls + 1, output + turn.output_tokens
            size += sum(map(len, turn.lines))
            if not is_fork and not is_copied and size >= target // 2:
                parent, copied, is_copied = thread, list(lines), True
            if turn_number >= _TURNS_KEPT and size >= target:
                break
        data = "".join(line + "\n" for line in lines).encode()
        path.write_bytes(data)
        written += len(data)
        if written >= byte_count:
            return Written(calls, output, written)
    raise AssertionError("count() does not end")


@cache
def _text() -> str:
    """A megabyte that looks like code to a decoder: quotes, escapes, letters beyond ASCII."""
    chance = random.Random(0)
    return " ".join(chance.choice(_WORDS.split(" ")) for _ in range(200_000))


def _dump(line: dict[str, object]) -> str:
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def _result(chance: random.Random, text: str) -> str:
    """A tool's output: mostly a kilobyte or a few, at times a hundred."""
    size = min(int(chance.lognormvariate(7, 1.3)), 150_000)
    start = chance.randrange(max(1, len(text) - size))
    return text[start : start + size]


def _at(second: int) -> str:
    hours, rest = divmod(second % 86_400, 3600)
    return f"2026-11-22T{hours:02}:{rest // 60:02}:{rest % 60:02}.{second % 1000:03}Z"


def _claude_name(number: int, thread: str) -> str:
    return f"projects/-home-dev-project-{number % 7}/{thread}.jsonl"


def _claude_head(thread: str, parent: str) -> list[str]:
    return [_dump({"type": "summary", "summary": "A session", "leafUuid": parent or thread})]


def _claude_turns(chance: random.Random, thread: str, text: str) -> Iterator[_Turn]:
    for number in count():
        output = chance.randrange(20, 900)
        usage = {
            "input_tokens": 12,
            "cache_creation_input_tokens": 1500,
            "cache_read_input_tokens": 3600 * number,
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": 0},
            "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
            "service_tier": "standard",
            "cache_creation": {"ephemeral_1h_input_tokens": 1500, "ephemeral_5m_input_tokens": 0},
        }
        common: dict[str, object] = {
            "parentUuid": f"{thread}-{number}",
            "isSidechain": False,
            "uuid": f"{thread}-{number}-a",
            "timestamp": _at(number),
            "cwd": "/home/dev/project",
            "sessionId": thread,
            "version": "2.1.330",
            "gitBranch": "main",
        }
        message = {"id": f"msg_{thread}_{number}", "role": "assistant", "model": "claude-opus-5-5"}
        blocks = [
            {"type": "text", "text": text[number : number + 300]},
            {"type": "tool_use", "id": f"toolu_{number}", "input": {"command": text[:200]}},
        ]
        answers: list[dict[str, object]] = [
            {
                **common,
                "type": "assistant",
                "requestId": f"req_{thread}_{number}",
                "message": {**message, "content": [block], "usage": usage},
            }
            for block in blocks[number % 2 :]
        ]
        result = _result(chance, text)
        content = [{"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": result}]
        used: dict[str, object] = {
            **common,
            "type": "user",
            "message": {"role": "user", "content": content},
            "toolUseResult": {"stdout": result, "stderr": "", "interrupted": False},
        }
        yield _Turn([*map(_dump, answers), _dump(used)], output)


def _codex_name(number: int, thread: str) -> str:
    return f"sessions/2026/11/22/rollout-{_at(number)[:19].replace(':', '-')}-{thread}.jsonl"


def _codex_head(thread: str, parent: str) -> list[str]:
    named = {"forked_from_id": parent} if parent else {}
    payload = {"id": thread, "cli_version": "0.163.0", "source": "cli", **named}
    return [_dump({"timestamp": _at(0), "type": "session_meta", "payload": payload})]


def _codex_turns(chance: random.Random, thread: str, text: str) -> Iterator[_Turn]:
    total = [0, 0, 0, 0]
    for number in count():
        output = chance.randrange(20, 900)
        last = [5112 + number, 3600, 1500, output]
        total = [before + now for before, now in zip(total, last, strict=True)]
        info = {"total_token_usage": _counters(total), "last_token_usage": _counters(last)}
        limits = {"primary": {"used_percent": 12.0, "window_minutes": 300, "resets_at": 1795396260}}
        counted = {"type": "token_count", "info": info, "rate_limits": limits}
        context = {"turn_id": f"{thread}-{number}", "model": "gpt-5.5-codex", "cwd": "/home/dev"}
        reasoning = {"type": "reasoning", "encrypted_content": f"{chance.getrandbits(8000):x}"}
        call = {"type": "function_call", "name": "shell", "arguments": text[number : number + 200]}
        done = {"type": "function_call_output", "call_id": "c", "output": _result(chance, text)}
        kinds: list[tuple[str, object]] = [("turn_context", context)] if number % 6 == 0 else []
        kinds += [("response_item", item) for item in (reasoning, call, done)]
        kinds += [("event_msg", counted)] * (1 + (number % 4 == 0))
        lines = [
            _dump({"timestamp": _at(number), "ordinal": number, "type": type_, "payload": payload})
            for type_, payload in kinds
        ]
        yield _Turn(lines, output)


def _counters(values: list[int]) -> dict[str, int]:
    names = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")
    return dict(zip(names, values, strict=True)) | {"total_tokens": values[0] + values[3]}


_FORMS: dict[str, tuple[Callable[[int, str], str], Callable[[str, str], list[str]], Turns]] = {
    "claude_code": (_claude_name, _claude_head, _claude_turns),
    "codex": (_codex_name, _codex_head, _codex_turns),
}
