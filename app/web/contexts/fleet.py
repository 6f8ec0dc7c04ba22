"""The strip of every page, the subscriptions and the tiles: pure functions of a snapshot."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from app.models import Account, Agent, Session, Task
from app.services import gauges
from app.services.radar import Warned, warnings_of_session
from app.store.sessions import LIVE_STATES
from app.web import format as fmt
from app.web.contexts import inbox
from app.web.contexts.snapshot import (
    SPARK_MINUTES,
    Snapshot,
    driver_label,
    per_minute,
    state_of,
)
from app.web.contexts.windows import Bar, bar

STATE_ORDER = tuple(fmt.STATE_LABELS)


@dataclass(frozen=True)
class Strip:
    rate: float  # output tokens per minute, all agents
    agents: int
    states: list[tuple[str, int]]  # (state, agents in it), in a fixed order
    waiting: int  # permissions that wait for the human
    oldest_wait: datetime | None
    to_review: int
    queued: int
    needs: int  # what the inbox lists
    gauge: gauges.Strip

    @property
    def places(self) -> list[tuple[str, int]]:
        """Every state has its place, so that numbers do not move; "off" only where it is."""
        counts = dict(self.states)
        return [(state, counts.get(state, 0)) for state in STATE_ORDER if state != "off"] + [
            (state, number) for state, number in self.states if state == "off"
        ]


@dataclass(frozen=True)
class Tile:
    name: str
    state: str
    task: str
    task_id: int | None
    last_line: str
    driver: str
    account: str
    rate: float
    spark: list[tuple[str, str]]  # (state, points): the line in pieces, coloured by its state
    since: datetime | None
    is_sandboxed: bool | None  # None: no session yet
    session_id: str
    warnings: list[Warned]  # other work that collides with its own


@dataclass(frozen=True)
class Budget:
    """A subscription at a glance."""

    account: Account
    throttle: Bar | None  # hours
    budget: Bar | None  # a week
    agents: int


def budgets(snap: Snapshot) -> list[Budget]:
    """The subscriptions with their two windows about all use, in the human's order."""
    rows = []
    for account in sorted(snap.accounts.values(), key=lambda row: (row.rank, row.name)):
        gauges_of = [one for one in snap.windows.get(account.id or 0, []) if not one.scope]
        short = [one for one in gauges_of if not one.is_budget and _is_metered(one)]
        long = [one for one in gauges_of if one.is_binding]
        if short or long:
            agents = sum(agent.account_id == account.id for agent in snap.agents)
            found = [bar(account, one[-1]) if one else None for one in (short, long)]
            rows.append(Budget(account, found[0], found[1], agents))
    return rows


def _is_metered(gauge: gauges.WindowGauge) -> bool:
    """Windows of minutes are about requests, not about quota."""
    return (gauge.reading.window_minutes or 0) >= 60


def tiles(snap: Snapshot) -> list[Tile]:
    return [_tile(snap, agent) for agent in snap.agents]


def _tile(snap: Snapshot, agent: Agent) -> Tile:
    session = snap.sessions.get(agent.id or 0)
    task = snap.tasks.get(session.task_id) if session else None
    state = state_of(agent, session, task)
    series = list(snap.rates.get(session.id, [])) if session else []
    rate = per_minute(series, snap.now)
    if series:
        series[-1] = round(rate)  # the running minute is not over: a full one, as it looks now
    account = snap.accounts.get(agent.account_id)
    return Tile(
        name=agent.name,
        state=state,
        task=task.title if task else "",
        task_id=task.id if task else None,
        last_line=_line(state, session.last_line if session else "", task, snap, agent),
        driver=driver_label(agent.driver),
        account=account.name if account else "",
        rate=rate,
        spark=_spark(series, snap.lines.get(agent.id or 0, []), state),
        since=(task.started_at or task.created_at) if task else None,
        is_sandboxed=session.is_sandboxed if session and session.state in LIVE_STATES else None,
        session_id=session.id if session else "",
        warnings=_warnings(snap, session, task),
    )


def _warnings(snap: Snapshot, session: Session | None, task: Task | None) -> list[Warned]:
    if session is None or task is None:
        return []
    row = snap.radars.get((task.repository_id, task.base_branch))
    return warnings_of_session(row, session.id)


def _spark(series: list[int], line: list[str], state: str) -> list[tuple[str, str]]:
    """The output of the last minutes in pieces of one state each; the present state is the last."""
    if not series and not any(line):
        return []
    rates = series or [0] * SPARK_MINUTES
    named = [*([""] * (len(rates) - len(line))), *line][-len(rates) :]
    named[-1] = state
    pieces, first = [], 0
    for at in range(1, len(named) + 1):
        if at == len(named) or named[at] != named[first]:
            pieces.append((named[first], fmt.spark(rates, first, min(at + 1, len(rates)))))
            first = at
    return pieces


def _line(state: str, said: str, task: Task | None, snap: Snapshot, agent: Agent) -> str:
    if state == "off":
        return "Takes no work; enable it on its page."
    if state == "waiting_quota":
        account = snap.accounts.get(agent.account_id)
        back = (task.parked_until if task else None) or (account.limited_until if account else None)
        return f"Window full: returns {fmt.until(back, snap.now)}"
    if task is None:
        return "No task: takes the next one from the backlog."
    if task.state == "review":
        return f"Offered for review: {said}" if said else "Offered for review."
    return said or task.state_reason


def strip(snap: Snapshot) -> Strip:
    states = Counter(
        state_of(agent, session, snap.tasks.get(session.task_id) if session else None)
        for agent in snap.agents
        for session in [snap.sessions.get(agent.id or 0)]
    )
    return Strip(
        rate=snap.gauge.output_per_minute,
        agents=len(snap.agents),
        states=[(state, states[state]) for state in STATE_ORDER if states[state]],
        waiting=len(snap.permissions),
        oldest_wait=min((ask.created_at for ask in snap.permissions), default=None),
        to_review=len(snap.to_review),
        queued=sum(task.state == "queued" for task in snap.tasks.values()),
        needs=inbox.count(snap),
        gauge=snap.gauge,
    )
