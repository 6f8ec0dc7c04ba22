"""Claude Code's stream, line by line, turned into events: no I/O, and the state of one turn.

Owns what a line means: which text is new, which tokens are not counted yet, when a turn begins
and how it ended. `claude_code` feeds it and answers what must be answered.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from agents.drivers.claude_code_tokens import Tokens
from agents.drivers.claude_code_words import (
    QUIET_LINES,
    QUIET_SYSTEM,
    UNPARSED_CHARS,
    Message,
    clip,
    clip_input,
    error_kind,
    moment,
    output_text,
    permission,
    quota,
    retrying,
    tool_kind,
    tool_title,
    unparsed,
)
from agents.events import (
    ErrorKind,
    Event,
    Failed,
    Notice,
    Outcome,
    PermissionResolved,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    TurnEnded,
    TurnStarted,
)

WITHDRAWN = "Withdrawn: the turn ended before the question was answered."
_GOOD_ENDS = (None, "completed", "hook_stopped", "stop_hook_prevented")


@dataclass
class _Call:
    """One streamed API message: its blocks, and the tokens that it told so far."""

    message_id: str
    model: str
    usage: Message
    blocks: dict[int, type[Text] | type[Thinking]] = field(default_factory=dict)


class Parser:
    """Lines in, events out. `turn` is the running turn's id, `questions` what waits for answers."""

    def __init__(self, cwd: str) -> None:
        self.turn: str | None = None
        self.questions: dict[str, Message] = {}
        self._cwd = cwd
        self._calls: dict[str, _Call] = {}  # by the tool call of the subagent, "" = the agent
        self._tools: dict[str, str] = {}  # running tool calls: id to name
        self._reset_turn()

    def _reset_turn(self) -> None:
        self._tokens = Tokens()
        self._streamed: set[str] = set()  # messages whose text came in pieces
        self._complete: set[str] = set()  # messages that came whole, tokens counted
        self._error: Message | None = None
        self._resets_at: datetime | None = None
        self._has_room = False  # refused, while no quota window is used up
        self._last_text = ""

    def begin(self, turn_id: str) -> list[Event]:
        """A turn starts now; nothing where one runs already."""
        if self.turn is not None:
            return []
        self.turn = turn_id
        self._reset_turn()
        return [TurnStarted(turn_id)]

    def finish(self, ended: TurnEnded) -> list[Event]:
        """The running turn ends so: texts closed, open questions withdrawn."""
        self.turn = None
        events: list[Event] = [
            PermissionResolved(request_id, "deny", WITHDRAWN) for request_id in self.questions
        ]
        self.questions.clear()
        return [*self._close_texts(), *events, ended]

    def read(self, line: bytes) -> tuple[Message, list[Event]]:
        """The decoded line ({} where it is none) and its events. Never raises."""
        try:
            message = msgspec.json.decode(line)
            return message, self._read(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}, [unparsed(line)]
        except (KeyError, TypeError, ValueError, AttributeError):  # a known type, a new shape
            return {}, [unparsed(line)]

    def _read(self, message: Message) -> list[Event]:
        kind = message["type"]
        if kind in QUIET_LINES:
            return []
        handler = {
            "assistant": self._assistant,
            "user": self._user,
            "stream_event": self._stream,
            "system": self._system,
            "result": self._result,
            "rate_limit_event": self._rate_limit,
            "control_request": self._control_request,
            "control_cancel_request": self._control_cancel,
        }.get(kind)
        return handler(message) if handler else [unparsed(msgspec.json.encode(message))]

    # -- what the agent says and does

    def _stream(self, message: Message) -> list[Event]:
        event, who = message["event"], message.get("parent_tool_use_id") or ""
        kind = event["type"]
        if kind == "message_start":
            start = event["message"]
            closed = self._close_texts(who)
            self._calls[who] = _Call(start["id"], start["model"], start["usage"])
            self._streamed.add(start["id"])
            return [*closed, self._tokens.count(start["model"], start["usage"])]
        call = self._calls.get(who)
        if call is None:
            return []
        if kind == "content_block_start" and not who and event["content_block"]["type"] == "text":
            self._last_text = ""
        if kind == "content_block_delta":
            return self._delta(call, event["index"], event["delta"], who)
        if kind == "content_block_stop":
            return _final(call, event["index"])
        if kind == "message_delta" and event.get("usage"):
            before, call.usage = call.usage, {**call.usage, **event["usage"]}
            return [self._tokens.count(call.model, call.usage, before)]
        return []

    def _delta(self, call: _Call, index: int, delta: Message, who: str) -> list[Event]:
        piece = Text if delta.get("text") else Thinking
        said = delta.get("text") or delta.get("thinking")
        if not said:  # a tool's input in pieces, a signature
            return []
        call.blocks[index] = piece
        if piece is Text and not who:
            self._last_text += said
        return [piece(f"{call.message_id}/{index}", said)]

    def _assistant(self, message: Message) -> list[Event]:
        body = message["message"]
        if message.get("error"):
            self._error = message  # told once, at the end of the turn
            return []
        streamed = body["id"] in self._streamed
        events: list[Event] = []
        for number, block in enumerate(body["content"]):
            if block["type"].endswith("tool_use"):
                events.append(self._tool_call(block))
            elif not streamed and (said := block.get("text") or block.get("thinking")):
                piece = Text if block["type"] == "text" else Thinking
                events.append(piece(f"{message['uuid']}/{number}", said, final=True))
                self._last_text = said if piece is Text else self._last_text
        whole = bool(body.get("stop_reason")) and body["model"] != "<synthetic>"
        if whole and not streamed and body["id"] not in self._complete:
            self._complete.add(body["id"])
            events.append(self._tokens.count(body["model"], body["usage"]))
        return events

    def _tool_call(self, block: Message) -> ToolCall:
        name, given = block["name"], block.get("input") or {}
        self._tools[block["id"]] = name
        title = tool_title(name, given, self._cwd)
        return ToolCall(block["id"], name, tool_kind(name), title, clip_input(given))

    def _user(self, message: Message) -> list[Event]:
        content = message["message"]["content"]
        if isinstance(content, str):  # a prompt that comes back, a local command's output
            return []
        detail = message.get("tool_use_result")
        return [
            self._tool_result(block, detail if isinstance(detail, dict) else {})
            for block in content
            if block["type"].endswith("tool_result")
        ]

    def _tool_result(self, block: Message, detail: Message) -> ToolResult:
        output = output_text(block.get("content"))
        wrong = bool(block.get("is_error"))
        code = None
        if tool_kind(self._tools.pop(block["tool_use_id"], "")) == "execute":
            told = re.match(r"(?:Error: )?Exit code (\d+)", output)
            unknown = wrong or detail.get("interrupted") or detail.get("backgroundTaskId")
            code = int(told[1]) if told and wrong else None if unknown else 0
        return ToolResult(block["tool_use_id"], output, wrong, code)

    # -- questions

    def _control_request(self, message: Message) -> list[Event]:
        request = message["request"]
        if request["subtype"] != "can_use_tool":
            return []  # the connection refuses it, so that the CLI does not wait
        self.questions[message["request_id"]] = request
        return [permission(message, self._cwd)]

    def _control_cancel(self, message: Message) -> list[Event]:
        if self.questions.pop(message["request_id"], None) is None:
            return []
        return [PermissionResolved(message["request_id"], "deny", WITHDRAWN)]

    # -- the state of things

    def _system(self, message: Message) -> list[Event]:
        subtype = message["subtype"]
        if subtype == "init":  # every turn begins with one, also those that the queue starts
            return self.begin(message["uuid"])
        if subtype == "api_retry":
            return [retrying(message)]
        if subtype == "compact_boundary":
            return [Notice("The conversation was compacted to fit the model's context.")]
        if subtype in QUIET_SYSTEM:
            return []
        told = message.get("content") or message.get("message") or message.get("text")
        if subtype == "permission_denied":
            told = f"{message.get('tool_name', 'A tool')} was denied: {told or 'no reason given'}"
        if not isinstance(told, str):
            return [unparsed(msgspec.json.encode(message))]
        return [Notice(clip(told, UNPARSED_CHARS), level="warning")]

    def _rate_limit(self, message: Message) -> list[Event]:
        reading = quota(message["rate_limit_info"])
        info = message["rate_limit_info"]
        self._has_room = info.get("status") == "rejected" and reading.status != "rejected"
        if reading.status == "rejected":
            self._resets_at = moment(info)
        return [reading] if reading.windows or reading.status != "allowed" else []

    def _result(self, message: Message) -> list[Event]:
        events: list[Event] = [*self._tokens.correct(message)]
        if self.turn is None:  # a failed start: the process says it again on stderr and ends
            return events
        summary = clip(str(message.get("result") or self._last_text), 16_000)
        reason = message.get("terminal_reason")
        if str(reason).startswith("aborted"):
            ended = TurnEnded(self.turn, "interrupted", clip(self._last_text, 16_000))
            return events + self.finish(ended)
        bad = message.get("is_error") or message["subtype"] != "success" or self._error
        if not bad and reason in _GOOD_ENDS:
            return events + self.finish(TurnEnded(self.turn, "completed", summary))
        kind = self._blame(message)
        told = str(message.get("result") or "; ".join(message.get("errors") or ()) or reason)
        failed = Failed(kind, clip(told, 16_000), self._resets_at if kind == "limit" else None)
        outcome: Outcome = "limited" if kind == "limit" else "failed"
        ended = TurnEnded(self.turn, outcome, "", kind, failed.resets_at)
        return [*events, failed, *self.finish(ended)]

    def _blame(self, message: Message) -> ErrorKind:
        error = self._error or {}
        status = message.get("api_error_status") or error.get("api_error_status")
        name = message.get("api_error") or error.get("api_error") or error.get("error")
        if status == 429 and (self._resets_at or self._has_room):
            return "throttle" if self._has_room else "limit"
        return error_kind(name, status, message.get("terminal_reason"))

    def _close_texts(self, who: str | None = None) -> list[Event]:
        """Final pieces for texts that were cut off (of one speaker, or of all)."""
        calls = [self._calls.pop(key) for key in list(self._calls) if who in (None, key)]
        return [
            event for call in calls for index in list(call.blocks) for event in _final(call, index)
        ]


def _final(call: _Call, index: int) -> list[Event]:
    piece = call.blocks.pop(index, None)
    return [piece(f"{call.message_id}/{index}", "", final=True)] if piece else []
