"""Claude Code's tokens of one turn, counted once: per API call as it ends, the rest at the result.

The stream tells the true output of a call only in its `message_delta`; calls of subagents and
all costs are told only by the sums in `result`, which are the authority for the turn.
"""

from collections import Counter

from agents.drivers.claude_code_words import Message
from agents.events import Usage

_COUNTERS = {  # ours: (in an API call's usage, in the CLI's sums per model)
    "output_tokens": ("output_tokens", "outputTokens"),
    "input_tokens": ("input_tokens", "inputTokens"),
    "cache_write_tokens": ("cache_creation_input_tokens", "cacheCreationInputTokens"),
    "cache_read_tokens": ("cache_read_input_tokens", "cacheReadInputTokens"),
}


class Tokens:
    """The ledger of one turn."""

    def __init__(self) -> None:
        self._counted: dict[str, Counter[str]] = {}

    def count(self, model: str, usage: Message) -> Usage:
        """The Usage of one API call, remembered for `correct`."""
        tokens = {ours: int(usage.get(api) or 0) for ours, (api, _) in _COUNTERS.items()}
        self._counted.setdefault(model, Counter()).update(tokens)
        details = usage.get("output_tokens_details") or {}
        return Usage(model, **tokens, reasoning_tokens=int(details.get("thinking_tokens") or 0))

    def correct(self, result: Message) -> list[Usage]:
        """What the result's sums have beyond what was counted, and the turn's cost."""
        sums: dict[str, Message] = result.get("model_usage_since_last_result") or {}
        counted, self._counted = self._counted, {}
        for model in [model for model in counted if model not in sums and sums]:
            # The API names the model differently from the CLI (an alias): the biggest it must be.
            biggest = max(sums, key=lambda name: int(sums[name].get("outputTokens") or 0))
            counted.setdefault(biggest, Counter()).update(counted[model])
        rows = [_beyond(model, row, counted.get(model, Counter())) for model, row in sums.items()]
        return [row for row in rows if row is not None]


def _beyond(model: str, row: Message, counted: Counter[str]) -> Usage | None:
    more = {
        ours: max(0, int(row.get(cli) or 0) - counted[ours]) for ours, (_, cli) in _COUNTERS.items()
    }
    cost = row.get("costUSD")
    return Usage(model, **more, cost_usd=cost) if cost or any(more.values()) else None
