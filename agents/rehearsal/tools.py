"""A scenario's calls in the words of each client's own tools: which tool, which arguments."""

import json
import shlex
from pathlib import PurePosixPath

import msgspec

from agents.rehearsal.scenario import Bash, Call, Edit, Read, Write

CODE_MODE = "functions.exec"
_YIELD_MS = 30_000
_WHY = "The task needs this command to run outside the sandbox."


class ToolUse(msgspec.Struct, frozen=True):
    """One call of a client's tool; text arguments mean a free-form tool."""

    name: str
    arguments: dict[str, object] | str


def tool_uses(
    calls: tuple[Call, ...], tools: frozenset[str], directory: str, seen: frozenset[str]
) -> list[ToolUse]:
    """The calls as the client knows them; none when it offers no tools we can map to."""
    if "Bash" in tools:
        return _claude_code(calls, directory, seen)
    if CODE_MODE in tools:
        return [ToolUse("exec", "\n".join(map(_javascript, calls)))] if calls else []
    if "exec_command" in tools:
        return [ToolUse("exec_command", _exec_command(call)) for call in calls]
    if "bash" in tools:
        return [_own(call) for call in calls]
    return []


def _claude_code(calls: tuple[Call, ...], directory: str, seen: frozenset[str]) -> list[ToolUse]:
    """Its Edit refuses a file that was not read in this session, so a Read goes first."""
    uses: list[ToolUse] = []
    known = set(seen)
    for call in calls:
        if isinstance(call, Bash):
            uses.append(ToolUse("Bash", {"command": call.command}))
            continue
        path = str(PurePosixPath(directory) / call.path)
        if isinstance(call, Edit) and path not in known:
            uses.append(ToolUse("Read", {"file_path": path}))
        known.add(path)
        match call:
            case Write(content=content):
                uses.append(ToolUse("Write", {"file_path": path, "content": content}))
            case Edit(old=old, new=new):
                arguments = {"file_path": path, "old_string": old, "new_string": new}
                uses.append(ToolUse("Edit", dict[str, object](arguments)))
            case Read():
                uses.append(ToolUse("Read", {"file_path": path}))
    return uses


def _own(call: Call) -> ToolUse:
    """The API drivers' tools: bash, read, write, edit, with the scenario's own field names."""
    fields = msgspec.to_builtins(call)
    name = fields.pop("tool")
    fields.pop("escalate")
    return ToolUse(name, fields)


def _exec_command(call: Call) -> dict[str, object]:
    arguments: dict[str, object] = {"cmd": _shell(call), "yield_time_ms": _YIELD_MS}
    if call.escalate:
        arguments |= {"sandbox_permissions": "require_escalated", "justification": _WHY}
    return arguments


def _shell(call: Call) -> str:
    match call:
        case Bash(command=command):
            return command
        case Read(path=path):
            return f"cat {shlex.quote(path)}"
        case _:
            return f"apply_patch <<'QD_PATCH'\n{_patch(call)}\nQD_PATCH"


def _javascript(call: Call) -> str:
    """One line of Codex's code mode, where nested tools hang on a `tools` object."""
    if isinstance(call, Write | Edit):
        return f"text(await tools.apply_patch({json.dumps(_patch(call))}));"
    return f"text(await tools.exec_command({json.dumps(_exec_command(call))}));"


def _patch(call: Write | Edit) -> str:
    """Codex's patch format: whole lines, prefixed; it knows files by relative path."""
    if isinstance(call, Write):
        body = [f"*** Add File: {call.path}", *_prefixed("+", call.content)]
    else:
        lines = [*_prefixed("-", call.old), *_prefixed("+", call.new)]
        body = [f"*** Update File: {call.path}", "@@", *lines]
    return "\n".join(["*** Begin Patch", *body, "*** End Patch"])


def _prefixed(mark: str, text: str) -> list[str]:
    return [mark + line for line in text.removesuffix("\n").split("\n")]
