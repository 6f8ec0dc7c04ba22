"""Dollars for a percent of a meter, from what was spent while it rose. Pure.

Meters tell whole percents and lie now and then. A stretch goes from the moment one percent was
reached to the moment another was, so that rounding cancels; falls and leaps end it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from app.models.quota import SAMPLE_SECONDS

_LEAST_PERCENT = 3.0  # of a stretch, and of all the evidence
_LEAP_PERCENT = 20.0  # in one step: a new plan or a lie, not use
_HALF_LIFE_SLOTS = 7 * 24 * 3600 / SAMPLE_SECONDS  # plans and promotions change
_ODD = 3.0  # stretches so many times dearer or cheaper than the middle are not ours alone


@dataclass(frozen=True)
class Stretch:
    """A rise of the meter and what it cost; None where a price or a counter is missing."""

    percent: float
    usd: float | None
    slot: int  # where it ended


def capacity_usd(
    points: Sequence[tuple[int, float]], spent: Mapping[int, float | None]
) -> float | None:
    """What 100 % cost, newest evidence first; None while there is too little, or it is not ours.

    `points` are (slot, percent used), oldest first; `spent` is dollars by slot.
    """
    found = stretches(points, spent)
    priced = [(s.usd / s.percent, _weight(s, points[-1][0]), s) for s in found if s.usd]
    middle = weighted_median((slope, weight) for slope, weight, _ in priced)
    if middle is None:
        return None
    kept = [(usd, weight, s) for usd, weight, s in priced if middle / _ODD <= usd <= middle * _ODD]
    percent = sum(stretch.percent for _, _, stretch in kept)
    if percent < _LEAST_PERCENT or 2 * percent < sum(stretch.percent for stretch in found):
        return None
    dollars = sum(weight * (stretch.usd or 0.0) for _, weight, stretch in kept)
    return 100 * dollars / sum(weight * stretch.percent for _, weight, stretch in kept)


def stretches(
    points: Sequence[tuple[int, float]], spent: Mapping[int, float | None]
) -> list[Stretch]:
    """The meter's rises of three points or more, each with the dollars between its ends."""
    found: list[Stretch] = []
    purse = _Purse(spent)
    start: tuple[int, float] | None = None
    before: float | None = None
    for slot, percent in points:
        rise = 0.0 if before is None else percent - before
        before = percent
        if rise < 0:
            start = None
        elif rise > _LEAP_PERCENT or (rise > 0 and start is None):
            start = (slot, percent)
        elif rise > 0 and start is not None and percent - start[1] >= _LEAST_PERCENT:
            found.append(Stretch(percent - start[1], purse.between(start[0], slot), slot))
            start = (slot, percent)
    return found


def weighted_median(pairs: Iterable[tuple[float, float]]) -> float | None:
    """The value with half of the weight below it; None of nothing."""
    ordered = sorted((value, weight) for value, weight in pairs if weight > 0)
    if not ordered:
        return None
    sums = list(accumulate(weight for _, weight in ordered))
    at = min(bisect_right(sums, sums[-1] / 2), len(ordered) - 1)
    if at and sums[at - 1] == sums[-1] / 2:  # exactly between two
        return (ordered[at - 1][0] + ordered[at][0]) / 2
    return ordered[at][0]


class _Purse:
    """Dollars spent up to a slot, and how often the price was not known."""

    def __init__(self, spent: Mapping[int, float | None]) -> None:
        self._slots = sorted(spent)
        self._usd = [0.0, *accumulate(spent[slot] or 0.0 for slot in self._slots)]
        self._unknown = [0, *accumulate(int(spent[slot] is None) for slot in self._slots)]

    def between(self, after: int, until: int) -> float | None:
        first, last = bisect_right(self._slots, after), bisect_right(self._slots, until)
        if self._unknown[last] > self._unknown[first]:
            return None
        return self._usd[last] - self._usd[first]


def _weight(stretch: Stretch, newest: int) -> float:
    return float(stretch.percent * 0.5 ** ((newest - stretch.slot) / _HALF_LIFE_SLOTS))
