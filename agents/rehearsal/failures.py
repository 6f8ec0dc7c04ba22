"""Which failures are due, and how far each lets a stream come. Owns that count."""

import math
import time

import msgspec

from agents.rehearsal.conversation import Conversation
from agents.rehearsal.scenario import FailureKind, Step

LIMIT_SECONDS = 3600.0
HTTP_KINDS = frozenset(
    {"429", "529", "500", "503", "401", "403", "400_credit", "context", "overloaded", "limited"}
)
STREAM_KINDS = frozenset({"drop", "sse_error", "stall"})
"""They cut or delay a stream; a client's plain retry without streaming succeeds."""


class Failure(msgspec.Struct, frozen=True):
    """A failure to play now."""

    kind: FailureKind
    retry_after_seconds: float | None = None
    reset_at: float = 0
    """Epoch seconds at which a limit lifts."""
    stall_seconds: float = 600

    def reset_in_seconds(self) -> int:
        """Whole seconds until the limit lifts, at least 1."""
        return max(1, math.ceil(self.reset_at - time.time()))


class Ledger:
    """Counts failures by conversation and step; a step that succeeded is forgotten."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str, int, int], int] = {}
        self._since: dict[tuple[str, str, int, int], float] = {}

    def due(self, scenario: str, conversation: Conversation, step: Step) -> Failure | None:
        """The step's failure if it has not run out for this conversation."""
        if step.fail is None or (step.fail in STREAM_KINDS and not conversation.stream):
            return None
        place = conversation.place
        key = (scenario, conversation.key, place.turn, place.step)
        since = self._since.setdefault(key, time.time())
        reset_at = math.ceil(since + (step.reset_in_seconds or LIMIT_SECONDS))
        if step.fail == "limited" and not step.fail_times:
            over = time.time() >= reset_at
        else:
            self._times[key] = self._times.get(key, 0) + 1
            over = 0 < step.fail_times < self._times[key]
        if over:
            self._times.pop(key, None)
            self._since.pop(key, None)
            return None
        return Failure(step.fail, step.retry_after_seconds, reset_at, step.stall_seconds)
