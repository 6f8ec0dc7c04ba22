"""What the server has told its clients of tokens, to compare ledgers with."""

import threading

import msgspec

from agents.rehearsal.scenario import Usage


class Tokens(msgspec.Struct, frozen=True):
    """The four counters of one or many model calls."""

    output: int = 0
    fresh_input: int = 0
    cache_write: int = 0
    cache_read: int = 0

    @classmethod
    def of(cls, usage: Usage, output: int) -> "Tokens":
        """The tokens of a call with this input and so much output."""
        return cls(output, usage.input_tokens, usage.cache_write_tokens, usage.cache_read_tokens)

    def plus(self, other: "Tokens", sign: int = 1) -> "Tokens":
        """Each counter with the other's added, or taken away where `sign` is -1."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Tokens(*(mine + sign * theirs for mine, theirs in pairs))

    @property
    def total(self) -> int:
        """All four together."""
        return self.output + self.fresh_input + self.cache_write + self.cache_read


Key = tuple[str, str]  # credential, model as it was asked for


class Counts:
    """Tokens by credential and model: of calls whose bill was sent, and of calls cut before it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._whole: dict[Key, Tokens] = {}
        self._cut: dict[Key, Tokens] = {}

    def begin(self, key: Key, told: Tokens) -> None:
        """A stream told these so far; they count as cut until `finish`."""
        with self._lock:
            self._cut[key] = self._cut.get(key, Tokens()).plus(told)

    def finish(self, key: Key, begun: Tokens, whole: Tokens) -> None:
        """The whole bill was told, after `begun`."""
        with self._lock:
            self._cut[key] = self._cut.get(key, Tokens()).plus(begun, -1)
            self._whole[key] = self._whole.get(key, Tokens()).plus(whole)

    def whole(self) -> dict[Key, Tokens]:
        """What finished calls cost."""
        with self._lock:
            return {key: tokens for key, tokens in self._whole.items() if tokens.total}

    def cut(self) -> dict[Key, Tokens]:
        """What calls cost that broke off: as far as the client was told."""
        with self._lock:
            return {key: tokens for key, tokens in self._cut.items() if tokens.total}
