"""Codex app-server notifications into events: one thread, small state, no I/O.

The app-server speaks of several threads where the agent started helpers: their tokens count,
their words do not belong to this conversation.
"""

from collections.abc import Callable

import msgspec

from agents.drivers.codex_items import CUT, OUTPUT_LIMIT, plan, tool_call, tool_result
from agents.drivers.codex_limits import Limits, Message, attempts, error_kind, readable, tokens
from agents.events import (
    Event,
    Failed,
    Notice,
    Outcome,
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

_SUMMARY_LIMIT = 8000
_UNPARSED_LIMIT = 2000
# Chatter of features that we do not show; the few of these that matter have a rule.
_HARMLESS = (
    "account/",
    "app/",
    "command/exec/",
    "externalAgentConfig/",
    "fs/",
    "fuzzyFileSearch/",
    "hook/",
    "item/autoApprovalReview/",
    "item/commandExecution/terminalInteraction",
    "item/fileChange/patchUpdated",
    "mcpServer/",
    "model/",
    "modelProvider/",
    "process/",
    "project/",
    "remoteControl/",
    "serverRequest/resolved",  # the connection's, which knows its questions
    "skills/",
    "thread/",
    "turn/diff/updated",
    "turn/moderationMetadata",
)
_SILENT_ITEMS = (
    "enteredReviewMode",
    "exitedReviewMode",
    "functionCallOutput",
    "hookPrompt",
    "subAgentActivity",
    "userMessage",
)


class Parser:
    """What one thread says, as events; knows which turn runs and which calls are open."""

    def __init__(self, cwd: str = "", model: str = "") -> None:
        self.thread_id = ""
        self.model = model
        self.turn_id = ""  # of the running turn
        self._ended_turn_id = ""
        self._cwd = cwd
        self._limits = Limits()
        self._totals: dict[str, object] = {}  # thread: its newest running total
        self._spoke = False  # a turn was started by us
        self._words: dict[str, tuple[type[Text | Thinking], int]] = {}
        self._calls: dict[str, tuple[ToolCall, int]] = {}  # open ones, with characters told
        self._abandoned: set[str] = set()
        self._summary = ""
        self._noticed: set[str] = set()
        self._plans = 0
        self._rules: dict[str, Callable[[Message], list[Event]]] = {
            "turn/started": self._turn_started,
            "turn/completed": self._turn_completed,
            "turn/plan/updated": self._plan,
            "error": self._error,
            "item/started": self._item_started,
            "item/completed": self._item_completed,
            "item/agentMessage/delta": lambda p: self._said(Text, p),
            "item/plan/delta": lambda p: self._said(Text, p),
            "item/reasoning/summaryTextDelta": lambda p: self._said(Thinking, p),
            "item/reasoning/textDelta": lambda p: self._said(Thinking, p),
            "item/reasoning/summaryPartAdded": self._part_added,
            "item/commandExecution/outputDelta": lambda p: self._printed(p["itemId"], p["delta"]),
            "item/fileChange/outputDelta": lambda p: self._printed(p["itemId"], p["delta"]),
            "item/mcpToolCall/progress": lambda p: self._printed(p["itemId"], p["message"] + "\n"),
            "thread/tokenUsage/updated": self._tokens,
            "account/rateLimits/updated": self._rate_limits,
            "model/rerouted": self._rerouted,
            "mcpServer/startupStatus/updated": self._tool_server,
            "warning": lambda p: self._notice(p["message"]),
            "guardianWarning": lambda p: self._notice(p["message"]),
            "configWarning": lambda p: self._notice(_joined(p)),
            "deprecationNotice": lambda p: self._notice(_joined(p), info=True),
        }

    def notification(self, method: str, params: Message) -> list[Event]:
        """The events of one notification; what does not fit is Unparsed, never an exception."""
        rule = self._rules.get(method)
        other = self.thread_id and params.get("threadId") not in (None, "", self.thread_id)
        if other and method != "thread/tokenUsage/updated":
            return []
        if rule is None:
            known = method.startswith(_HARMLESS)
            return [] if known else [unparsed({"method": method, "params": params})]
        try:
            return rule(params)
        except (KeyError, TypeError, ValueError, AttributeError):
            return [unparsed({"method": method, "params": params})]

    def call(self, call_id: str) -> ToolCall | None:
        """The open tool call of that id."""
        return self._calls[call_id][0] if call_id in self._calls else None

    def begin(self, turn_id: str) -> list[Event]:
        """A turn runs, by its notification or by the answer to our request, whichever is first."""
        if turn_id in (self.turn_id, self._ended_turn_id):
            return []
        self.turn_id, self._summary, self._spoke = turn_id, "", True
        return [TurnStarted(turn_id)]

    def cut_short(self, outcome: Outcome, failure: Failed | None = None) -> list[Event]:
        """What the end of the process leaves to say: open pieces, and the running turn's end."""
        events = self._close_open()
        if failure is not None:
            events.append(failure)
        if self.turn_id:
            error = failure.error if failure else None
            events.append(TurnEnded(self.turn_id, outcome, self._summary, error))
            self._ended_turn_id, self.turn_id = self.turn_id, ""
        return events

    def _turn_started(self, params: Message) -> list[Event]:
        return self.begin(params["turn"]["id"])

    def _turn_completed(self, params: Message) -> list[Event]:
        turn = params["turn"]
        self.turn_id, self._ended_turn_id = "", turn["id"]
        events = self._close_open()
        if turn["status"] != "failed":
            outcome: Outcome = "completed" if turn["status"] == "completed" else "interrupted"
            return [*events, TurnEnded(turn["id"], outcome, self._summary)]
        error = turn.get("error") or {"message": "Codex gave no reason."}
        kind = error_kind(error.get("codexErrorInfo"), error["message"])
        resets_at = self._limits.resets_at() if kind == "limit" else None
        outcome = "limited" if kind == "limit" else "failed"
        return [
            *events,
            Failed(kind, readable(error["message"]), resets_at),
            TurnEnded(turn["id"], outcome, self._summary, kind, resets_at),
        ]

    def _error(self, params: Message) -> list[Event]:
        error = params["error"]
        if not params["willRetry"]:  # told again, with its turn, by turn/completed
            return [] if self.turn_id else self._notice(error["message"])
        message = error.get("additionalDetails") or error["message"]
        attempt, maximum = attempts(error["message"])
        kind = error_kind(error.get("codexErrorInfo"), message)
        # What a broken stream had begun to say is said again, as a message of its own.
        return [*self._close_words(), Retrying(kind, readable(message), attempt, maximum)]

    def _item_started(self, params: Message) -> list[Event]:
        call = tool_call(params["item"], self._cwd)
        if call is None:
            return []
        self._calls[call.call_id] = (call, 0)
        return [call]

    def _item_completed(self, params: Message) -> list[Event]:
        item = params["item"]
        match item["type"]:
            case "agentMessage" | "plan":
                self._summary = item["text"][:_SUMMARY_LIMIT]
                return self._finished(Text, item["id"], item["text"])
            case "reasoning":
                parts = item.get("summary") or item.get("content") or []
                return self._finished(Thinking, item["id"], "\n\n".join(parts))
            case "contextCompaction":
                return [Notice("Codex compacted the conversation to make room.", "info")]
            case kind if kind in _SILENT_ITEMS:
                return []
        return self._tool_completed(item)

    def _tool_completed(self, item: Message) -> list[Event]:
        if item["id"] in self._abandoned:  # it outlived its turn, whose end closed it
            return []
        events: list[Event] = []
        if item["id"] not in self._calls:
            call = tool_call(item, self._cwd)
            if call is None:
                return [unparsed(item)]
            events.append(call)
        told = self._calls.pop(item["id"], (None, 0))[1]
        return [*events, tool_result(item, told)]

    def _said(self, kind: type[Text | Thinking], params: Message) -> list[Event]:
        item_id, piece = params["itemId"], params["delta"]
        told = self._words.get(item_id, (kind, 0))[1]
        self._words[item_id] = (kind, told + len(piece))
        return [kind(item_id, piece)] if piece else []

    def _part_added(self, params: Message) -> list[Event]:
        begun = params["itemId"] in self._words
        return self._said(Thinking, {**params, "delta": "\n\n"}) if begun else []

    def _finished(self, kind: type[Text | Thinking], item_id: str, whole: str) -> list[Event]:
        """The last piece: what the deltas did not carry, usually nothing."""
        told = self._words.pop(item_id, (kind, 0))[1]
        if not told and not whole:
            return []
        return [kind(item_id, whole[told:], final=True)]

    def _printed(self, call_id: str, piece: str) -> list[Event]:
        if call_id not in self._calls or not piece:
            return []
        call, told = self._calls[call_id]
        self._calls[call_id] = (call, told + len(piece))
        room = OUTPUT_LIMIT - told
        if room <= 0:
            return []
        return [ToolOutput(call_id, piece if len(piece) <= room else piece[:room] + CUT)]

    def _close_open(self) -> list[Event]:
        """Ends for what an interrupt or a broken stream left without one."""
        events = self._close_words()
        for call_id in self._calls:
            events.append(ToolResult(call_id, "The turn ended before this did.", is_error=True))
        self._abandoned.update(self._calls)
        self._calls.clear()
        return events

    def _close_words(self) -> list[Event]:
        events: list[Event] = [kind(i, "", final=True) for i, (kind, _) in self._words.items()]
        self._words.clear()
        return events

    def _tokens(self, params: Message) -> list[Event]:
        usage, thread = params["tokenUsage"], params["threadId"]
        repeated = self._totals.get(thread) == usage["total"]
        self._totals[thread] = usage["total"]
        # Before our first turn it is the total of the resumed conversation, counted long ago.
        if repeated or not self._spoke:
            return []
        spent = tokens(self.model, usage["last"])
        return [] if spent == Usage(self.model) else [spent]  # nothing spent: it was refused

    def _rate_limits(self, params: Message) -> list[Event]:
        quota = self._limits.update(params["rateLimits"])
        return [quota] if quota else []

    def _rerouted(self, params: Message) -> list[Event]:
        self.model = params["toModel"]
        return self._notice(f"{params['fromModel']} was replaced by {params['toModel']}.")

    def _tool_server(self, params: Message) -> list[Event]:
        if params["status"] != "failed":
            return []
        return self._notice(f"The tool server {params['name']} failed: {params.get('error')}")

    def _plan(self, params: Message) -> list[Event]:
        self._plans += 1
        return list(plan(f"plan-{self._plans}", params["plan"]))

    def _notice(self, text: str, info: bool = False) -> list[Event]:
        """A notice, once: Codex repeats its warnings with every turn."""
        if text in self._noticed:
            return []
        self._noticed.add(text)
        return [Notice(text, "info" if info else "warning")]


def unparsed(message: object) -> Unparsed:
    """What no rule knew, as the beginning of its text."""
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    return Unparsed(text[:_UNPARSED_LIMIT])


def _joined(params: Message) -> str:
    return " ".join(part for part in (params.get("summary"), params.get("details")) if part)
