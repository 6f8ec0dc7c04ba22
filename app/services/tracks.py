"""How much a meter rose, and when: one window's history, resets left out. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

_RESET_SHARE = 0.5  # a meter that falls below half began anew; a smaller fall is a correction


class Track:
    """Points in time (unix seconds) with the percent points that the meter rose up to each.

    A fall rises nothing, but for what a new window shows at once.
    """

    def __init__(self, points: Iterable[tuple[float, float]] = ()) -> None:
        self._times: list[float] = []
        self._percents: list[float] = []
        self._risen: list[float] = []
        for at, percent in points:
            self.put(at, percent)

    def __len__(self) -> int:
        return len(self._times)

    @property
    def first(self) -> float | None:
        """When the history begins."""
        return self._times[0] if self._times else None

    @property
    def last(self) -> float | None:
        return self._times[-1] if self._times else None

    def put(self, at: float, percent: float) -> None:
        """Add a point at the end; points that are not newer than the last replace it."""
        while self._times and self._times[-1] >= at:
            for column in (self._times, self._percents, self._risen):
                column.pop()
        risen = 0.0
        if self._percents:
            risen = self._risen[-1] + _rise(self._percents[-1], percent)
        self._times.append(at)
        self._percents.append(percent)
        self._risen.append(risen)

    def rise(self, since: float, until: float) -> float:
        """Percent points risen between two moments; never negative, 0 outside of the history."""
        return max(self._at(until) - self._at(since), 0.0)

    def count(self, since: float, until: float) -> int:
        """How many points there are from one moment on and before another."""
        return max(bisect_left(self._times, until) - bisect_left(self._times, since), 0)

    def _at(self, moment: float) -> float:
        after = bisect_right(self._times, moment)
        if after == 0:
            return 0.0
        before = after - 1
        if after == len(self._times):
            return self._risen[before]
        span = self._times[after] - self._times[before]
        share = (moment - self._times[before]) / span
        return self._risen[before] + share * (self._risen[after] - self._risen[before])


def _rise(before: float, percent: float) -> float:
    if percent >= before:
        return percent - before
    return percent if percent < _RESET_SHARE * before else 0.0
