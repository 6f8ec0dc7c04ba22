"""The minutes of the waterfall added up, and remembered by the hour once nothing changes them."""

import time
from dataclasses import dataclass, field

from sqlmodel import Session as Orm

from app.services import losses
from app.services.losses import Tally
from app.services.memory import memory
from app.store import ladder as store

SETTLED_HOURS = 50  # later than the last measuring again
_KEPT_HOURS = 36 * 24


@dataclass
class Sum:
    """Accounts by id, how many minutes were looked at, and whose capacity nobody knew."""

    accounts: dict[int, Tally] = field(default_factory=dict)
    minutes: int = 0
    unknown: set[int] = field(default_factory=set)

    def add(self, other: "Sum") -> None:
        self.minutes += other.minutes
        self.unknown |= other.unknown
        for account_id, counted in other.accounts.items():
            self.accounts.setdefault(account_id, Tally()).add(counted)


def over(db: Orm, first: int, end: int) -> Sum:
    """The minutes from `first` to before `end` (unix time // 60).

    A week's minutes are ten thousand rows: whole hours that are settled for good are remembered.
    """
    hours: dict[int, Sum] = memory(db).keep("waterfall hours", None, dict)
    settled = min(end // 60, int(time.time()) // 3600 - SETTLED_HOURS)
    found = Sum()
    at = first
    while at < end:
        hour = at // 60
        if at % 60 == 0 and hour < settled:
            one = hours.get(hour) or _read(db, at, at + 60)
            if one.minutes == 60:  # else it may be filled yet
                hours[hour] = one
            found.add(one)
            at += 60
        else:
            until = end if hour >= settled else min(end, (hour + 1) * 60)
            found.add(_read(db, at, until))
            at = until
    for old in [hour for hour in list(hours) if hour < settled - _KEPT_HOURS]:
        hours.pop(old, None)
    return found


def _read(db: Orm, first: int, end: int) -> Sum:
    looks = [losses.decode(detail) for _, detail in store.details(db, first, end)]
    unknown = {account_id for look in looks for account_id in look.unknown}
    return Sum(losses.tally(looks), len(looks), unknown)
