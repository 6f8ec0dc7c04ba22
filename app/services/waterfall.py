"""Where the leverage went: from the capacity that is paid for to what was useful, by minute.

A minute's rungs, in dollars an hour at list price, each no higher than the one before:

- *capacity*: what a week of each account holds, over 168 hours. An account of which nobody knows
  that is left out, with what it spends, and named.
- *provisioned*: less the accounts that could not be used: logged out, refused by the vendor, used
  by hand only, closed by the human's rules; less the reserve; less all of it while we did not run.
- *demanded*: less the part of the agents' time that was idle while no task could be begun.
- *unblocked*: less the part in which they waited for the human or stood still after an error.
- *placed*: what was spent. Less the part in which agents waited for a quota or a slot, or were free
  while tasks waited (the balancer's), waited for this account's own throttle (the vendor's), or
  worked and were too few to spend it (the fleet's).
- *useful*: less what contexts cost that were read again (`app.services.spending`).

Spending is measured. The gap between it and what was provisioned is shared out among the enabled
agents alike, by the time that each was in a state: what an agent would have spent is not known.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session as Orm

from app.models import LadderMinute
from app.models.base import unix_minute, utc_now
from app.services import clock, losses, spending, upkeep, waterfall_look, waterfall_sums
from app.services.context import Context
from app.services.losses import CAUSES, RUNGS, Look, Who
from app.store import accounts
from app.store import ladder as store

SETTLE_MINUTES = 20  # other programs' logs come in every ten minutes
LATE_MINUTES = 48 * 60  # measured again once an hour: logs of a day without us
OFF_MINUTES = 5  # a longer hole between two looks: we did not run, or the machine slept
_HOLE_MINUTES = 7 * 24 * 60  # what is filled at most
_TOLD, _SMALLEST_USD = 3, 0.005  # losses that are named beside a rung
_BATCH = 200


@dataclass(frozen=True)
class Loss:
    """Dollars an hour that were lost to one cause, who can fix it, and a sentence on it."""

    cause: str
    who: Who
    usd_per_hour: float
    says: str


@dataclass(frozen=True)
class Rung:
    """One step: what is left of the capacity, and what was lost since the step above.

    `who` had the largest loss of it ("" where nothing was lost).
    """

    name: str
    usd_per_hour: float
    percent_of_capacity: float
    lost_usd_per_hour: float
    who: str
    says: str
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True)
class Waterfall:
    """The rungs (none: nothing was measured, or no capacity is known) and what they leave out."""

    rungs: tuple[Rung, ...]
    measured_minutes: int
    left_out: tuple[str, ...]  # accounts whose capacity nobody knows
    partial: tuple[str, ...]  # accounts that spent on models without a known price


def sample(ctx: Context, now: datetime | None = None) -> int:
    """Keep the rungs of the minutes that are over; returns how many are new. Cheap when none is.

    Minutes without a look are filled: nobody was there to use them. Once an hour what logs told
    late of the last two days is measured again, and what is too old is forgotten.
    """
    now = now or utc_now()
    minute = unix_minute(now) - 1
    with ctx.db.read() as db:
        last = store.last_minute(db)
        if last == minute:
            return 0
        is_ahead = last is not None and last > minute  # the clock was set back
        first = minute if last is None or is_ahead else max(last + 1, minute - _HOLE_MINUTES)
        is_hole = minute - first >= OFF_MINUTES
        held, unknown = waterfall_look.shares(db, now)
        seen = {
            at: waterfall_look.look(db, at, held, unknown, is_off=is_hole and at < minute)
            for at in range(first, minute + 1)
        }
        _spend(db, seen)
    if is_ahead:
        with ctx.db.write() as db:
            store.forget_from(db, first)
    _keep(ctx, seen)
    is_hourly = any(at % 60 == 0 for at in seen)
    settle(ctx, minute - (LATE_MINUTES if is_hourly else SETTLE_MINUTES), minute)
    if is_hourly:
        clock.prune(ctx, now)
        upkeep.prune(ctx, now)
    return len(seen)


def settle(ctx: Context, first: int, end: int) -> int:
    """Measure again what was spent in minutes that have rungs; returns how many changed."""
    with ctx.db.read() as db:
        kept = dict(store.details(db, first, end))
        seen = {minute: losses.decode(detail) for minute, detail in kept.items()}
        _spend(db, seen)
    changed = {at: look for at, look in seen.items() if losses.encode(look) != kept[at]}
    _keep(ctx, changed)
    return len(changed)


def measure(db: Orm, since: datetime, until: datetime) -> Waterfall:
    """The waterfall over the whole minutes between two moments that were looked at."""
    first = unix_minute(since) + int(since.timestamp() % 60 > 0)
    seen = waterfall_sums.over(db, first, unix_minute(until))
    names = {account.id or 0: account.name for account in accounts.every(db)}
    over = {key: losses.account(counted) for key, counted in seen.accounts.items()}
    left_out = _named(seen.unknown - set(over), names)
    return Waterfall(
        rungs=_rungs(over, names, seen.minutes / 60, left_out),
        measured_minutes=seen.minutes,
        left_out=left_out,
        partial=_named({key for key, one in seen.accounts.items() if one.is_partial}, names),
    )


def _named(account_ids: set[int], names: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(sorted(names[account_id] for account_id in account_ids if account_id in names))


def _spend(db: Orm, seen: Mapping[int, Look]) -> None:
    """Write into the looks what was spent."""
    if not seen:
        return
    spent = spending.by_minute(db, min(seen), max(seen) + 1)
    for minute, look in seen.items():
        for account_id, share in look.shares.items():
            paid = spent.get((minute, account_id), spending.Spending())
            share.spent, share.reread = paid.usd, paid.reread_usd
            share.is_partial = paid.is_partial


def _keep(ctx: Context, seen: Mapping[int, Look]) -> None:
    """Store the rungs, in short transactions."""
    rows = [_row(minute, look) for minute, look in seen.items()]
    for at in range(0, len(rows), _BATCH):
        with ctx.db.write() as db:
            store.put(db, rows[at : at + _BATCH])


def _row(minute: int, look: Look) -> LadderMinute:
    over = {key: losses.account(counted) for key, counted in losses.tally([look]).items()}
    hourly = {name: usd * 60 for name, usd in losses.rungs(over).items()}
    return LadderMinute(minute=minute, **hourly, detail=losses.encode(look))


def _rungs(
    over: Mapping[int, losses.Account],
    names: Mapping[int, str],
    hours: float,
    left_out: tuple[str, ...],
) -> tuple[Rung, ...]:
    levels = losses.rungs(over)
    capacity = levels[RUNGS[0]]
    if not capacity:
        return ()
    held = f"what {len(over)} account{'s' if len(over) > 1 else ''} can spend evenly"
    if left_out:
        held += f"; of unknown size and left out: {', '.join(left_out)}"
    found = [Rung(RUNGS[0], capacity / hours, 100.0, 0.0, "", held)]
    for above, name in itertools.pairwise(RUNGS):
        lost = _losses(over, names, name, hours)
        found.append(
            Rung(
                name,
                levels[name] / hours,
                100 * levels[name] / capacity,
                (levels[above] - levels[name]) / hours,
                _who(lost),
                _says(lost),
                lost,
            )
        )
    return tuple(found)


def _losses(
    over: Mapping[int, losses.Account], names: Mapping[int, str], rung: str, hours: float
) -> tuple[Loss, ...]:
    """What was lost above a rung, the largest first; accounts apart where it is about them."""
    lost: dict[tuple[str, str], float] = {}
    for account_id, account in over.items():
        for cause, usd in account.lost.items():
            if CAUSES[cause].rung == rung and usd > 0:
                says = CAUSES[cause].words.format(account=names.get(account_id, "an old account"))
                lost[cause, says] = lost.get((cause, says), 0.0) + usd / hours
    found = [Loss(cause, CAUSES[cause].who, usd, says) for (cause, says), usd in lost.items()]
    return tuple(sorted(found, key=lambda loss: -loss.usd_per_hour))


def _says(lost: tuple[Loss, ...]) -> str:
    told = [loss for loss in lost[:_TOLD] if loss.usd_per_hour >= _SMALLEST_USD]
    return "; ".join(f"${loss.usd_per_hour:.2f}/h {loss.says}" for loss in told)


def _who(lost: tuple[Loss, ...]) -> str:
    totals: dict[str, float] = {}
    for loss in lost:
        totals[loss.who] = totals.get(loss.who, 0.0) + loss.usd_per_hour
    return max(totals, key=totals.__getitem__, default="")
