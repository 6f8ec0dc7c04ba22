"""Which records are one and the same call. Across files, restarts, forks and copies of a log.

A record has a `key` and perhaps weaker names, `aliases`. It is a call that we know if its key is
known, or if an alias is and one of the two is secondary (a side conversation or a fork, which may
repeat the main one's calls under another key) or is known by nothing but that name. Of two records
of one call the better stays: the main conversation's, then the one with more tokens (a streamed
answer is logged several times as it grows), then the dearer.
"""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from agents.meters.base import UsageRecord


class Change(msgspec.Struct, frozen=True):
    """A difference to what was counted: add the record's tokens `sign` times."""

    record: UsageRecord
    sign: int  # 1, or -1 for a record that a better one takes the place of


class Ledger(Protocol):
    """Takes records, says what they change. Adding a record again changes nothing."""

    def add(self, records: Iterable[UsageRecord]) -> list[Change]:
        """The differences, in order; their sum over all calls is the usage."""
        ...


class Page(msgspec.Struct):
    """The part of a ledger that some records are about, or all of it."""

    calls: dict[int, UsageRecord]  # the record that counts, by the call's number
    places: dict[str, int]  # key or alias: the call's number
    next_number: int = 0  # of the next call that is new

    def add(self, records: Iterable[UsageRecord]) -> list[Change]:
        """See `Ledger`; every call that has a name of these records must be on the page."""
        changes: list[Change] = []
        for record in records:
            number = self._find(record)
            if number is None:
                number = self.next_number
                self.next_number += 1
                self.calls[number] = record
                changes.append(Change(record, 1))
            elif is_better(record, known := self.calls[number]):
                self.calls[number] = record
                changes += [Change(known, -1), Change(record, 1)]
            for name in names(record):
                self.places.setdefault(name, number)
        return changes

    def _find(self, record: UsageRecord) -> int | None:
        number = self.places.get(record.key)
        if number is not None:
            return number
        for alias in record.aliases:
            number = self.places.get(alias)
            if number is not None and is_same_call(record, self.calls[number], alias):
                return number
        return None


class MemoryLedger:
    """A ledger that forgets when it is gone; for tests, benchmarks and one-off imports."""

    def __init__(self) -> None:
        self._page = Page({}, {})

    @property
    def records(self) -> list[UsageRecord]:
        """What counts, one record a call, in the order in which the calls came."""
        return list(self._page.calls.values())

    def add(self, records: Iterable[UsageRecord]) -> list[Change]:
        """See `Ledger`."""
        return self._page.add(records)


def names(record: UsageRecord) -> tuple[str, ...]:
    """By what a record's call is known again: its key, then its aliases."""
    return (record.key, *record.aliases)


def is_same_call(record: UsageRecord, known: UsageRecord, alias: str) -> bool:
    """Whether an alias that both have makes them one."""
    return record.is_secondary or known.is_secondary or known.key == alias


def is_better(record: UsageRecord, known: UsageRecord) -> bool:
    """Whether a record takes the place of the one that is counted for the same call."""
    return _rank(record) > _rank(known)


def _rank(record: UsageRecord) -> tuple[bool, int, float]:
    return (not record.is_secondary, record.total_tokens, record.cost_usd or 0.0)
