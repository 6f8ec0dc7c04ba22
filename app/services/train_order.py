"""The order in which approved requests board a train. Pure: rows in, ids out."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Passenger:
    """An approved request that may ride."""

    id: int
    approved_at: datetime
    after: frozenset[int] = frozenset()  # requests that must be merged before, or ride ahead
    waiters: int = 0  # how many requests and tasks wait for it


def board(passengers: Sequence[Passenger], conflicts: Iterable[tuple[int, int]]) -> list[int]:
    """Ids in the order in which most can ride together.

    Each time the one with the fewest conflicts goes next, of those the one that most wait for, of
    those the oldest approval; whoever conflicts with it goes to the end. `after` always holds.
    """
    waiting = {passenger.id: passenger for passenger in passengers}
    foes = _foes(conflicts)
    placed: list[int] = []
    left: set[int] = set()  # conflict with one that was placed: the train will leave them
    while free := [p for p in waiting.values() if not p.after & waiting.keys()]:
        hopeful = waiting.keys() - left
        best = min(free, key=lambda p: _cost(p, foes.get(p.id, set()), hopeful))
        if best.id not in left:
            left |= foes.get(best.id, set())
        placed.append(best.id)
        del waiting[best.id]
    return placed  # who is not in it waits for one that waits for it


def _cost(
    passenger: Passenger, foes: Set[int], hopeful: Set[int]
) -> tuple[bool, int, int, datetime, int]:
    return (
        passenger.id not in hopeful,
        len(foes & hopeful),
        -passenger.waiters,
        passenger.approved_at,
        passenger.id,
    )


def riders(wishes: dict[int, frozenset[int]], merged: frozenset[int]) -> set[int]:
    """Who may ride: all that each waits for is merged, or rides as well."""
    riding = set(wishes)
    while True:
        stuck = {each for each in riding if not wishes[each] <= merged | riding}
        if not stuck:
            return riding
        riding -= stuck


def _foes(conflicts: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    foes: dict[int, set[int]] = {}
    for one, other in conflicts:
        foes.setdefault(one, set()).add(other)
        foes.setdefault(other, set()).add(one)
    return foes
