"""A journal record as lines for a terminal."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

OUTPUT_LINES = 12  # of a tool's result; the page shows all

Event = dict[str, Any]


def in_lines(record: dict[str, Any]) -> list[str]:
    """The lines to print for a record; none for what only machines read."""
    event = record["event"]
    render = _RENDER.get(event["kind"])
    if render is None:
        return []
    at = datetime.fromisoformat(record["at"]).astimezone().strftime("%H:%M:%S")
    first, *rest = render(event).splitlines() or [""]
    return [f"{at}  {first}", *(f"          {line}".rstrip() for line in rest)]


def _output(text: str) -> str:
    lines = text.splitlines()
    hidden = len(lines) - OUTPUT_LINES
    shown = lines[:OUTPUT_LINES] + ([f"… {hidden} more lines"] if hidden > 0 else [])
    return "\n".join(shown)


def _result(event: Event) -> str:
    code = event.get("exit_code")
    end = f"exit {code}" if code is not None else "failed" if event.get("is_error") else "done"
    return "\n".join(filter(None, (f"← {end}", _output(event.get("output", "")))))


def _turn_ended(event: Event) -> str:
    until = f", returns at {event['resets_at']}" if event.get("resets_at") else ""
    return f"■ turn {event['outcome']}{until}"


_RENDER: dict[str, Callable[[Event], str]] = {
    "session_started": lambda e: f"● session {e.get('conversation_id', '')} {e.get('model', '')}",
    "user_message": lambda e: f"» {e['text']}",
    "text": lambda e: e["text"],
    "thinking": lambda e: f"~ {e['text']}",
    "tool_call": lambda e: f"→ {e['name']}: {e['title']}",
    "tool_output": lambda e: _output(e["text"]),
    "tool_result": _result,
    "permission_requested": lambda e: f"? asks permission: {e['name']}: {e['title']}",
    "permission_resolved": lambda e: f"! permission: {e['decision']}",
    "retrying": lambda e: f"… {e['error']}: {e['message']}",
    "failed": lambda e: f"✗ {e['error']}: {e['message']}",
    "turn_ended": _turn_ended,
    "notice": lambda e: f"i {e['text']}",
    "exited": lambda e: f"■ {e['reason']} {e.get('message', '')}",
}
