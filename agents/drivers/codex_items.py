"""Codex's thread items (commands, patches, searches ...) as tool calls and results. Pure."""

import json
import shlex
from pathlib import PurePath

from agents.drivers.codex_limits import Message
from agents.events import ToolCall, ToolKind, ToolResult

OUTPUT_LIMIT = 256 * 1024  # characters of one call's output that become events
CUT = f"\n[cut at {OUTPUT_LIMIT // 1024} KB; the raw log holds the rest]\n"
_DIFF_LIMIT = 32 * 1024
_TITLE_LIMIT = 300
_TOOLS: dict[str, ToolKind] = {
    "commandExecution": "execute",
    "fileChange": "edit",
    "mcpToolCall": "other",
    "dynamicToolCall": "other",
    "collabAgentToolCall": "other",
    "webSearch": "search",
    "imageView": "read",
    "imageGeneration": "other",
    "sleep": "other",
}


def tool_call(item: Message, cwd: str) -> ToolCall | None:
    """The call that this item is, or None where it is no tool."""
    kind = _TOOLS.get(item["type"])
    if kind is None:
        return None
    name, title, arguments = _words(item, cwd)
    return ToolCall(
        call_id=item["id"], name=name, tool=kind, title=one_line(title) or name, input=arguments
    )


def tool_result(item: Message, streamed: int) -> ToolResult:
    """The end of a call of which `streamed` characters of output were already told."""
    output = _output(item)
    exit_code = item.get("exitCode")
    failed = item.get("status") in ("failed", "declined", "interrupted")
    if item.get("status") == "declined" and not output:
        output = "declined"
    return ToolResult(
        call_id=item["id"],
        output=cut(output[streamed:]) if streamed < OUTPUT_LIMIT else "",
        is_error=failed or exit_code not in (0, None) or item.get("success") is False,
        exit_code=exit_code,
    )


def plan(call_id: str, steps: list[Message]) -> tuple[ToolCall, ToolResult]:
    """The agent's list of steps, as a call that is at once done."""
    done = sum(step["status"] == "completed" for step in steps)
    current = next((step["step"] for step in steps if step["status"] == "inProgress"), "")
    title = one_line(f"{done}/{len(steps)} {current}")
    listed = "\n".join(f"{step['status']}: {step['step']}" for step in steps)
    return (
        ToolCall(call_id, "update_plan", "other", title, {"plan": steps}),
        ToolResult(call_id, listed),
    )


def script(command: str) -> str:
    """The command itself, out of `/bin/bash -lc '...'`."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    wrapped = len(words) == 3 and words[1] in ("-c", "-lc")
    return words[2] if wrapped else command


def one_line(text: str, limit: int = _TITLE_LIMIT) -> str:
    """`text` on one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def cut(text: str, limit: int = OUTPUT_LIMIT) -> str:
    """At most `limit` characters, with a mark where some are missing."""
    return text if len(text) <= limit else text[:limit] + CUT


def _words(item: Message, cwd: str) -> tuple[str, str, dict[str, object]]:
    """Name, title and input of a tool item."""
    match item["type"]:
        case "commandExecution":
            command = script(item["command"])
            return "shell", command, {"command": command, "cwd": item.get("cwd", "")}
        case "fileChange":
            changes = [_change(change, cwd) for change in item["changes"]]
            return "apply_patch", ", ".join(str(c["path"]) for c in changes), {"changes": changes}
        case "mcpToolCall":
            return _called(f"{item['server']}.{item['tool']}", item.get("arguments"))
        case "dynamicToolCall" | "collabAgentToolCall":
            return _called(item["tool"], item.get("arguments") or item.get("prompt"))
        case "webSearch":
            return "web_search", _searched(item), {"query": item.get("query", "")}
        case "imageView":
            return "view_image", item["path"], {"path": item["path"]}
        case "sleep":
            return "sleep", f"{item['durationMs'] / 1000:g} s", {}
        case other:
            return other, str(item.get("revisedPrompt") or ""), {}


def _called(name: str, arguments: object) -> tuple[str, str, dict[str, object]]:
    if isinstance(arguments, dict):
        return name, f"{name} {json.dumps(arguments, ensure_ascii=False)}", arguments
    return name, f"{name} {arguments or ''}", {"arguments": arguments} if arguments else {}


def _searched(item: Message) -> str:
    action = item.get("action") or {}
    return item.get("query") or action.get("query") or action.get("url") or ""


def _change(change: Message, cwd: str) -> dict[str, object]:
    kind = change.get("kind")
    kind = kind if isinstance(kind, dict) else {"type": str(kind)}
    shown: dict[str, object] = {
        "path": _shown(change["path"], cwd),
        "change": kind["type"],
        "diff": cut(change.get("diff", ""), _DIFF_LIMIT),
    }
    if moved_to := kind.get("move_path"):
        shown["moved_to"] = _shown(moved_to, cwd)
    return shown


def _shown(path: str, cwd: str) -> str:
    """Relative to the worktree where it lies in it."""
    pure = PurePath(path)
    return str(pure.relative_to(cwd) if cwd and pure.is_relative_to(cwd) else pure)


def _output(item: Message) -> str:
    if error := item.get("error"):
        return str(error.get("message", error)) if isinstance(error, dict) else str(error)
    result = item.get("result")
    if isinstance(result, dict):
        return "\n".join(_text(part) for part in result.get("content", []))
    if parts := item.get("contentItems"):
        return "\n".join(_text(part) for part in parts)
    return item.get("aggregatedOutput") or ""


def _text(part: object) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    return one_line(json.dumps(part, ensure_ascii=False), 1000)
