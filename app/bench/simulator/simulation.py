"""The event loop of the simulated fleet: arrivals, turns, waits, limits, and the slots they hold.

A turn is charged as it ends. What a full window did not grant is a limit hit: the turn keeps what
it got. A session that waits for its human, or parks, holds no slot. After an hour without a turn,
or on another account, its context is read again, which costs dollars and does no work.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from app.bench.simulator.contenders import Contender
from app.bench.simulator.load import World
from app.bench.simulator.session import CACHE_HOURS, Session
from app.bench.simulator.subscription import EMPTY, EPOCH, HOUR, POLL_HOURS, Subscription, at
from app.services.balance import AccountView, Decision

SLOTS = 16
TICK_HOURS = 0.25  # between two looks at work that waits
WAIT_CHANCE = 0.12  # that a turn ends with a question


@dataclass
class Outcome:
    """What came of it. Dollars, but for `hits`, `moves` and `hours`."""

    score: float = 0.0  # work, less what the human was refused, in windows that count
    useful: float = 0.0  # work in all windows
    overhead: float = 0.0  # contexts read again
    hits: int = 0
    moves: int = 0
    hours: list[float] = field(default_factory=list)  # of each task begun, human waits apart
    left: float = 0.0  # work that arrived and was not done


class Simulation:
    """One world under one policy."""

    def __init__(self, world: World, policy: Contender) -> None:
        self.world, self.policy, self.outcome = world, policy, Outcome()
        self.accounts = [Subscription.of(world, n, plan) for n, plan in enumerate(world.plans)]
        self.by_name = {one.plan.name: one for one in self.accounts}
        self.sessions: list[Session] = []
        self.fresh: list[Session] = []
        self.again: list[Session] = []  # has a home, goes first
        self.free, self.now, self.tick_at = SLOTS, 0.0, -1.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def run(self) -> Outcome:
        """Play to the horizon."""
        for job in self.world.jobs:
            self._later(job.at, partial(self._arrive, Session(job)))
        for hour, number, dollars in self.world.human:
            self._later(hour, partial(self._human, self.accounts[number], dollars))
        while self._heap and self._heap[0][0] < self.world.hours:
            self.now, _, event = heapq.heappop(self._heap)
            event()
        return self._finish()

    def _later(self, hour: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (hour, self._count, event))

    def _arrive(self, session: Session) -> None:
        self.sessions.append(session)
        self.fresh.append(session)
        self._dispatch()

    def _human(self, account: Subscription, dollars: float) -> None:
        account.spend(dollars, self.now, is_human=True)
        self._later(self.now + POLL_HOURS, lambda: account.read(self.now))

    def _dispatch(self) -> None:
        """Place what waits: sessions that go on first, then new work, each in its order."""
        self.again = self._placed(self.again)
        self.fresh = self._placed(self.fresh)
        if not (self.again or self.fresh) or self.free <= 0 or self.tick_at > self.now:
            return
        ends = (a.limited_until for a in self.accounts if a.limited_until > self.now)
        self.tick_at = min([self.now + TICK_HOURS, *ends])
        self._later(self.tick_at, self._dispatch)

    def _placed(self, waiting: list[Session]) -> list[Session]:
        """Start those that can be; returns the rest. Equal ones are asked about once."""
        if not waiting or self.free <= 0:
            return waiting
        rest: list[Session] = []
        views, refused = self._views(), set[object]()
        for number, session in enumerate(waiting):
            if self.free <= 0:
                return rest + waiting[number:]
            task = session.task(self.now)
            key = self.policy.key(task)
            if key in refused:
                rest.append(session)
                continue
            decision = self.policy.place(task, views, at(self.now))
            if decision.action in ("start", "move") and decision.account_id:
                self.free -= 1
                self._turn(session, self.by_name[decision.account_id])
                views = self._views()
            else:
                refused.add(key)
                rest.append(session)
        return rest

    def _views(self) -> list[AccountView]:
        return [account.view(self.now) for account in self.accounts]

    def _turn(self, session: Session, account: Subscription) -> None:
        """Start a turn; the session has a slot."""
        if session.home not in (None, account):
            self.outcome.moves += 1
        hours = session.begin_turn(account, self.now)
        self._later(self.now + hours, partial(self._turn_ended, session, account))

    def _turn_ended(self, session: Session, account: Subscription) -> None:
        is_hit = self._charge(session, account)
        self.outcome.hits += is_hit
        task = session.task(self.now)
        if session.left <= EMPTY:
            session.ended = self.now
            self._release()
        elif is_hit or account.limited_until > self.now:
            views = self._views()
            self._follow(session, account, self.policy.after_limit(task, views, at(self.now)))
        elif session.rng.random() < WAIT_CHANCE:
            hours = session.answer_hours(self.now)
            self._later(self.now + hours, partial(self._wait, session))
            self._release()
        else:
            views = self._views()
            self._follow(session, account, self.policy.at_turn_end(task, views, at(self.now)))

    def _charge(self, session: Session, account: Subscription) -> bool:
        """Pay for the turn that ended; whether the account refused some of it."""
        wanted = session.debt + session.work
        granted = account.spend(wanted, self.now)
        paid = min(granted, session.debt)
        work = granted - paid
        session.debt -= paid
        session.left -= work
        if session.debt <= EMPTY:
            session.cache_until = self.now + CACHE_HOURS
        self.outcome.overhead += paid
        self.outcome.useful += work
        self.outcome.score += work if account.counts else 0.0
        del account.live[session.job.number]
        account.read(self.now)
        return wanted - granted > EMPTY

    def _follow(self, session: Session, account: Subscription, decision: Decision) -> None:
        """Do what was decided for a session that has a slot."""
        if decision.action == "hold" and decision.until is not None:
            until = (decision.until - EPOCH) / HOUR
            self._later(until, partial(self._turn, session, account))
        elif decision.action == "park" or decision.account_id is None:
            self.again.append(session)
            self._release()
        else:
            self._turn(session, self.by_name[decision.account_id])

    def _wait(self, session: Session) -> None:
        self.again.append(session)
        self._dispatch()

    def _release(self) -> None:
        self.free += 1
        self._dispatch()

    def _finish(self) -> Outcome:
        outcome = self.outcome
        outcome.score -= sum(account.refused_human for account in self.accounts)
        outcome.left = sum(session.left for session in self.sessions)
        outcome.hours = sorted(s.hours(self.now) for s in self.sessions if s.begun >= 0)
        return outcome
