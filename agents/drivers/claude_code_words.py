"""Claude Code's words in ours: tool kinds and titles, error kinds, quota windows.

Pure functions of the vendor's dictionaries; no state. Used by `claude_code_parse` only.
"""

from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from agents.drivers.readings import instant, number
from agents.events import (
    ErrorKind,
    PermissionRequested,
    Quota,
    QuotaWindow,
    Retrying,
    ToolKind,
    Unparsed,
)

Message = dict[str, Any]  # one line of the vendor's stream, decoded

MAX_OUTPUT_CHARS = 256 * 1024
_TOOLS: dict[
    str, tuple[ToolKind, tuple[str, ...]]
] = {  # kind, and the input that says what it does
    "Bash": ("execute", ("command",)),
    "PowerShell": ("execute", ("command",)),
    "Monitor": ("execute", ("command", "description")),
    "Write": ("edit", ("file_path",)),
    "Edit": ("edit", ("file_path",)),
    "MultiEdit": ("edit", ("file_path",)),
    "NotebookEdit": ("edit", ("notebook_path",)),
    "Read": ("read", ("file_path",)),
    "Glob": ("search", ("pattern",)),
    "Grep": ("search", ("pattern",)),
    "ToolSearch": ("search", ("query",)),
    "WebSearch": ("fetch", ("query",)),
    "WebFetch": ("fetch", ("url",)),
    "Task": ("other", ("description", "prompt")),
    "Skill": ("other", ("skill", "command")),
}
_ERRORS: dict[str, ErrorKind] = {  # the vendor's name of an API error
    "rate_limit": "throttle",
    "usage_limit_reached": "limit",
    "authentication_failed": "auth",
    "oauth_org_not_allowed": "auth",
    "billing_error": "billing",
    "server_error": "overloaded",
    "overloaded": "overloaded",
    "connection_failed": "network",
    "prompt_too_long": "context",
    "invalid_request": "invalid",
    "model_not_found": "invalid",
    "max_output_tokens": "invalid",
}
_QUOTA_STATUS: dict[str, Literal["allowed", "warning", "rejected"]] = {
    "allowed_warning": "warning",
    "rejected": "rejected",
}

UNPARSED_CHARS = 4_000
# What the pages have no use for. The raw line keeps all of it.
QUIET_LINES = frozenset(
    {
        *("control_response", "command_lifecycle", "keep_alive", "tool_progress", "auth_status"),
        *("tool_use_summary", "prompt_suggestion"),
    }
)
QUIET_SYSTEM = frozenset(
    {
        *("status", "thinking_tokens", "task_started", "task_progress", "task_updated"),
        *("task_notification", "task_summary", "background_tasks_changed", "vcs_state_changed"),
        *("session_title_changed", "session_state_changed", "session_metadata", "hook_started"),
        *("hook_progress", "hook_response", "commands_changed", "file_snapshot", "shell_cwd"),
        *("memory_recall", "memory_saved", "post_turn_summary", "turn_duration", "turn_starting"),
        *("turn_preempted", "stop_hook_summary", "code_change_published", "plugin_install"),
        *("permission_check_status", "control_request_progress", "elicitation_complete"),
        *("per_turn_effort_changed", "local_command", "worker_shutting_down"),
    }
)


def clip(text: str, limit: int = MAX_OUTPUT_CHARS) -> str:
    """At most `limit` characters of `text`; what is cut says so."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[cut: {len(text) - limit:,} more characters]"


def clip_input(value: Any) -> Any:
    """A tool's input with every long string in it clipped."""
    if isinstance(value, str):
        return clip(value)
    if isinstance(value, dict):
        return {str(key): clip_input(item) for key, item in value.items()}
    return [clip_input(item) for item in value] if isinstance(value, list) else value


def tool_kind(name: str) -> ToolKind:
    """What sort of thing the tool of that name does."""
    return _TOOLS.get(name, ("other", ()))[0]


def tool_title(name: str, given: Message, cwd: str) -> str:
    """One line for a human: the command, the path inside the worktree, the question."""
    if name == "AskUserQuestion":
        questions = [str(question.get("question", "")) for question in given.get("questions", [])]
        return clip(" / ".join(questions).replace("\n", " "), 500)
    keys = _TOOLS.get(name, ("other", tuple(given)))[1]
    what = next((given[key] for key in keys if isinstance(given.get(key), str)), "")
    if tool_kind(name) in ("edit", "read"):
        what = _inside(what, cwd)
    line = " ".join(what.strip().splitlines()[:1])
    more = " …" if len(what.strip().splitlines()) > 1 else ""
    title = f"{line}{more}" if name in _TOOLS else f"{name} {line}{more}".strip()
    return clip(title or name, 500).replace("\n", " ")


def output_text(content: Any) -> str:
    """A tool result's content as text, long ones clipped."""
    if isinstance(content, list):
        parts = [block.get("text", f"[{block.get('type', 'data')}]") for block in content]
        return clip("\n".join(parts))
    return clip(str(content or ""))


def error_kind(name: str | None, status: int | None, reason: str | None = None) -> ErrorKind:
    """Ours for the vendor's error name, HTTP status and `terminal_reason`, most telling first."""
    if reason == "prompt_too_long":
        return "context"
    if name in _ERRORS:
        return _ERRORS[name]
    if status is None:
        return "network" if name == "unknown" or reason == "api_error" else "invalid"
    by_status: dict[int, ErrorKind] = {401: "auth", 402: "billing", 403: "auth", 429: "throttle"}
    return by_status.get(status, "overloaded" if status >= 500 else "invalid")


def quota(info: Message) -> Quota:
    """The windows of one `rate_limit_info`; a window without a utilisation is left out."""
    windows = info.get("unifiedWindows") or {str(info.get("rateLimitType")): info}
    readings = [
        QuotaWindow(kind, used * 100, _minutes(kind), moment(row))
        for kind, row in windows.items()
        if (used := number(row.get("utilization"))) is not None
    ]
    status = _QUOTA_STATUS.get(str(info.get("status")), "allowed")
    if status == "rejected" and not any(map(_used_up, windows.values())):
        status = "warning"  # the CLI says `rejected` of any 429, also where every window has room
    return Quota(readings, status=status, source="claude_code")


def moment(row: Message) -> datetime | None:
    """`resetsAt`, seconds since 1970, as a UTC time; None where it is no time."""
    return instant(row.get("resetsAt"))


def _used_up(row: Message) -> bool:
    return row.get("status") == "rejected" or (number(row.get("utilization")) or 0) >= 1


def _minutes(kind: str) -> int | None:
    if kind == "five_hour":
        return 300
    return 7 * 24 * 60 if kind.startswith("seven_day") else None


def _inside(path: str, cwd: str) -> str:
    pure = PurePosixPath(path)
    return str(pure.relative_to(cwd)) if pure.is_relative_to(cwd) else path


def permission(message: Message, cwd: str) -> PermissionRequested:
    """The question that a `can_use_tool` request asks."""
    request = message["request"]
    name, given = request["tool_name"], request.get("input") or {}
    return PermissionRequested(
        message["request_id"],
        tool_kind(name),
        name,
        tool_title(name, given, cwd),
        clip_input(given),
        call_id=request.get("tool_use_id") or "",
        reason=clip(request.get("decision_reason") or "", 1_000),
    )


def retrying(message: Message) -> Retrying:
    """The CLI backs off by itself."""
    kind = error_kind(message.get("error"), message.get("error_status"))
    status = message.get("error_status")
    told = f"HTTP {status}" if status else "The connection broke"
    return Retrying(
        kind,
        f"{told}; trying again.",
        int(message.get("attempt") or 0),
        int(message.get("max_retries") or 0),
        float(message.get("retry_delay_ms") or 0) / 1000,
    )


def unparsed(line: bytes) -> Unparsed:
    """A line that no rule knows, cut to what a page can bear."""
    return Unparsed(clip(line[: UNPARSED_CHARS * 4].decode(errors="replace"), UNPARSED_CHARS))
