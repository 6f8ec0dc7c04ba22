"""Agent-seconds: every millisecond of every agent in exactly one of seven states.

A time line begins when an agent is first looked at and never has a hole. It ends in an open state,
which lasts until something else is noted: nothing is written while nothing changes. The journals
date their own changes, whenever they are read; what no journal tells is what the last look saw. So
after an hour without a server an agent's time is what its journal says of that hour, else the state
it was left in. What is noted late changes no time that was counted already. A clock that was set
back takes the time after it away again; the sum is the wall time at every moment.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlmodel import Session as Orm

from app.models import AgentClock, Session
from app.models.base import utc_now
from app.models.session import ACTIVITIES
from app.services import states
from app.services.context import Context
from app.store import clock as store

STATES = ACTIVITIES
KEEP = timedelta(days=35)
MINUTE_MS = 60_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_KEEP_MS = KEEP // _MS


def note(db: Orm, agent_id: int, state: str, at: datetime) -> None:
    """The agent is in `state` from `at` on; times before its last change count as that change."""
    _tell(db, agent_id, [(unix_ms(at), state)])


def count(db: Orm, session: Session, told: Iterable[tuple[int, datetime, str]]) -> None:
    """Note what a journal tells (sequence number, when, which), each record once for good."""
    latest = unix_ms(utc_now())
    moments = [
        (min(unix_ms(at), latest), state) for seq, at, state in told if seq > session.counted_seq
    ]
    _tell(db, session.agent_id, moments)
    session.counted_seq = max(session.counted_seq, session.seq)


@contextmanager
def at_hand(db: Orm, agent_ids: Collection[int]) -> Iterator[None]:
    """Within it, `count` reads the clocks of these agents once for all."""
    held = store.of_agents(db, agent_ids)
    yield
    held.clear()


def observe(ctx: Context, now: datetime | None = None) -> int:
    """Look at all agents; returns how many are in another state than before."""
    now = now or utc_now()
    with ctx.db.read() as db:
        if not _changed(db, unix_ms(now)):
            return 0
    with ctx.db.write() as db:  # looked at again: a journal may have told more in between
        changed = _changed(db, unix_ms(now))
        for agent_id, state in changed.items():
            _set_back(db, agent_id, unix_ms(now))
            note(db, agent_id, state, now)
    return len(changed)


def settle_absent(ctx: Context, session_ids: Iterable[str]) -> None:
    """Sessions that ended while nobody looked, ended when their journal ends."""
    with ctx.db.write() as db:
        current, now = store.current_sessions(db), states.every(db)
        for session_id in session_ids:
            found = db.get(Session, session_id)
            if found is None or found.last_event_at is None:
                continue
            if current[found.agent_id].id == session_id:
                note(db, found.agent_id, now[found.agent_id], found.last_event_at)


def seconds(db: Orm, since: datetime, until: datetime) -> dict[int, dict[str, int]]:
    """Milliseconds of each agent in each of the seven states, by agent id.

    They sum exactly to the time between `since` and `until` from the agent's first moment on, the
    open state included. Inside a minute that is over, its states are spread evenly.
    """
    start, end = unix_ms(since), unix_ms(until)
    first, last = -(-start // MINUTE_MS), end // MINUTE_MS  # whole minutes
    clocks = store.every(db)
    found = {agent_id: dict.fromkeys(STATES, 0) for agent_id in clocks}
    if start >= end:
        return found
    for agent_id, state, milliseconds in store.sums(db, first, last):
        found[agent_id][state] += milliseconds
    for minute in sorted({start // MINUTE_MS, last}):
        if not first <= minute < last:
            _add_part(db, found, clocks, minute, (start, end))
    for agent_id, clock in clocks.items():
        found[agent_id][clock.state] += max(0, end - max(start, clock.since_ms))
    return found


def timelines(db: Orm, minutes: int, now: datetime) -> dict[int, list[str]]:
    """The state that filled most of each of the last minutes, by agent id, the present one last.

    "" before the agent's first.
    """
    clocks, end_ms = store.every(db), unix_ms(now)
    first = end_ms // MINUTE_MS - minutes + 1
    filled: dict[int, list[dict[str, int]]] = {
        agent_id: [{} for _ in range(minutes)] for agent_id in clocks
    }
    for agent_id, minute, state, milliseconds in store.minutes(db, first, first + minutes):
        filled[agent_id][minute - first][state] = milliseconds
    for agent_id, clock in clocks.items():
        start = max(clock.since_ms, first * MINUTE_MS)
        for minute in range(start // MINUTE_MS, first + minutes):
            open_ms = min(end_ms, (minute + 1) * MINUTE_MS) - max(start, minute * MINUTE_MS)
            slot = filled[agent_id][minute - first]
            slot[clock.state] = slot.get(clock.state, 0) + max(1, open_ms)
    return {
        agent_id: [max(slot, key=slot.__getitem__, default="") for slot in slots]
        for agent_id, slots in filled.items()
    }


def prune(ctx: Context, now: datetime | None = None) -> None:
    """Forget what is older than 35 days: minutes, rungs, quota samples."""
    with ctx.db.write() as db:
        store.prune(db, unix_ms((now or utc_now()) - KEEP) // MINUTE_MS)


def unix_ms(at: datetime) -> int:
    return (at - _EPOCH) // _MS


def _changed(db: Orm, now_ms: int) -> dict[int, str]:
    """Agents whose clock shows another state than they are in, or a time that is yet to come."""
    clocks = store.every(db)
    return {
        agent_id: state
        for agent_id, state in states.every(db).items()
        if (clock := clocks.get(agent_id)) is None
        or clock.state != state
        or clock.since_ms > now_ms
    }


def _tell(db: Orm, agent_id: int, moments: list[tuple[int, str]]) -> None:
    if not moments:
        return
    clock = store.of_agent(db, agent_id)
    spent: dict[tuple[int, int, str], int] = {}
    for at, state in moments:
        if state not in STATES:
            raise ValueError(f"{state!r} is no state of the clock")
        if clock is None:
            clock = AgentClock(agent_id=agent_id, state=state, since_ms=at, born_ms=at)
            db.add(clock)
            db.flush()  # its next session is told of it
        elif state != clock.state:
            if at - clock.since_ms > _KEEP_MS:  # all it has is older than what is kept
                store.forget(db, agent_id, 0)
                spent.clear()
                clock.born_ms = clock.since_ms = at - _KEEP_MS
            _spread(clock, at, spent)
            clock.state = state
    db.add(clock)
    store.add(db, spent)


def _spread(clock: AgentClock, until: int, spent: dict[tuple[int, int, str], int]) -> None:
    """Count the open state up to `until`, minute by minute."""
    while clock.since_ms < until:
        minute = clock.since_ms // MINUTE_MS
        end = min(until, (minute + 1) * MINUTE_MS)
        key = (clock.agent_id, minute, clock.state)
        spent[key] = spent.get(key, 0) + end - clock.since_ms
        clock.since_ms = end


def _set_back(db: Orm, agent_id: int, now: int) -> None:
    """The clock was set back: what was counted after `now` did not happen."""
    clock = store.of_agent(db, agent_id)
    if clock is None or clock.since_ms <= now:
        return
    minute = now // MINUTE_MS
    kept: dict[str, int] = {}
    if clock.born_ms < now:
        rows = store.minutes(db, minute, minute + 1, agent_id)
        stored = {state: milliseconds for _, _, state, milliseconds in rows}
        kept = _apportion(stored, now - max(clock.born_ms, minute * MINUTE_MS))
        store.forget(db, agent_id, minute)
    else:
        store.forget(db, agent_id, 0)
        clock.born_ms = now
    clock.since_ms = now
    db.add(clock)
    db.flush()
    store.add(db, {(agent_id, minute, state): part for state, part in kept.items() if part})


def _add_part(
    db: Orm,
    found: dict[int, dict[str, int]],
    clocks: dict[int, AgentClock],
    minute: int,
    span: tuple[int, int],
) -> None:
    """Add what is stored of one minute, as far as it lies within `span`."""
    stored: dict[int, dict[str, int]] = {}
    for agent_id, _, state, milliseconds in store.minutes(db, minute, minute + 1):
        stored.setdefault(agent_id, {})[state] = milliseconds
    for agent_id, parts in stored.items():
        clock = clocks[agent_id]
        begin = max(clock.born_ms, minute * MINUTE_MS, span[0])
        end = min(clock.since_ms, (minute + 1) * MINUTE_MS, span[1])
        for state, part in _apportion(parts, end - begin).items():
            found[agent_id][state] += part


def _apportion(parts: dict[str, int], total: int) -> dict[str, int]:
    """`total` in the proportions of `parts`, in whole numbers that sum to it exactly."""
    whole = sum(parts.values())
    if total <= 0 or whole <= 0:
        return {}
    shares = {state: part * total // whole for state, part in parts.items()}
    rest = total - sum(shares.values())
    for state in sorted(parts, key=lambda state: (-(parts[state] * total % whole), state))[:rest]:
        shares[state] += 1
    return shares
