"""Claude Code's tokens of one turn, counted once: as an API call begins, as it ends, at the result.

The stream tells a call's input in its `message_start` and its output in its `message_delta`, so a
call that breaks off has its input counted, whoever dies. What the CLI kept from us (calls of
subagents, streams that broke at once) is in the sums of `result`, as all costs are. `usage` is what
the agent's own calls were told, those that broke off included. The sums by model have subagents,
but not all calls that broke off, and guesses at what these had written, which nobody told.
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

    def count(self, model: str, usage: Message, before: Message | None = None) -> Usage:
        """The Usage of an API call since `before`, remembered for `correct`."""
        told, known = _tokens(usage), _tokens(before or {})
        tokens = {name: max(0, told[name] - known[name]) for name in told}
        reasoning = tokens.pop("reasoning_tokens")
        self._counted.setdefault(model, Counter()).update(tokens)
        return Usage(model, **tokens, reasoning_tokens=reasoning)

    def correct(self, result: Message) -> list[Usage]:
        """What the result's sums have beyond what was counted, and the turn's cost."""
        sums: dict[str, Message] = result.get("model_usage_since_last_result") or {}
        counted, self._counted = self._counted, {}
        if not sums:
            return []
        main = max(sums, key=lambda name: int(sums[name].get("outputTokens") or 0))
        told = Counter(_tokens(result.get("usage") or {}))
        for model, tokens in list(counted.items()):
            told.subtract(tokens)
            if model not in sums:  # the API names it differently from the CLI (an alias)
                counted.setdefault(main, Counter()).update(tokens)
        more = {name: _beyond(row, counted.get(name, Counter())) for name, row in sums.items()}
        spawned = (result.get("subagent_stats") or {}).get("spawned")
        for name in _COUNTERS:
            rest = told[name] - sum(row[name] for model, row in more.items() if model != main)
            more[main][name] = max(rest, 0 if spawned == 0 else more[main][name])
        costs = {model: row.get("costUSD") for model, row in sums.items()}
        return [
            Usage(model, **row, cost_usd=costs[model])
            for model, row in more.items()
            if costs[model] or any(row.values())
        ]


def _beyond(row: Message, counted: Counter[str]) -> dict[str, int]:
    return {
        ours: max(0, int(row.get(cli) or 0) - counted[ours]) for ours, (_, cli) in _COUNTERS.items()
    }


def _tokens(usage: Message) -> dict[str, int]:
    tokens = {ours: int(usage.get(api) or 0) for ours, (api, _) in _COUNTERS.items()}
    details = usage.get("output_tokens_details") or {}
    return tokens | {"reasoning_tokens": int(details.get("thinking_tokens") or 0)}
