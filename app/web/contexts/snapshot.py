"""One consistent look at the house; the strip, the tiles and the inbox are made from it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from agents import registry
from agents.base import Capabilities
from app.models import (
    Account,
    Agent,
    BalancerDecision,
    Check,
    MergeRequest,
    Permission,
    Radar,
    Repository,
    Session,
    Task,
)
from app.models.base import utc_now
from app.services import clock, gauges
from app.services.context import Context
from app.services.states import agent_state
from app.store import (
    accounts,
    agents,
    balancing,
    checks,
    merge_requests,
    radar,
    repositories,
    sessions,
    tasks,
)

SPARK_MINUTES = 40
state_of = agent_state  # the pages say it so


@dataclass(frozen=True)
class Snapshot:
    now: datetime
    repositories: list[Repository]
    agents: list[Agent]
    accounts: dict[int, Account]
    sessions: dict[int, Session]  # the newest of each agent, by agent id
    tasks: dict[int, Task]  # open ones, in the backlog's order
    permissions: list[Permission]
    advised: list[BalancerDecision]  # waits for a click, oldest first
    merge_requests: list[MergeRequest]  # open ones
    checks: dict[int, Check]  # the newest of each, by merge request id
    radars: dict[tuple[int, str], Radar]  # by repository id and base branch
    rates: dict[str, list[int]]  # output tokens of the last 40 minutes, by session id
    lines: dict[int, list[str]]  # each agent's state in these minutes, "" before its first, by id
    windows: dict[int, list[gauges.WindowGauge]]  # by account id
    gauge: gauges.Strip

    def agent(self, agent_id: int | None) -> Agent | None:
        return next((agent for agent in self.agents if agent.id == agent_id), None)

    def agent_name(self, agent_id: int | None) -> str:
        agent = self.agent(agent_id)
        return agent.name if agent else ""

    def session(self, session_id: str | None) -> Session | None:
        return next((row for row in self.sessions.values() if row.id == session_id), None)

    @property
    def to_review(self) -> list[MergeRequest]:
        return [request for request in self.merge_requests if request.state == "open"]


def take(ctx: Context) -> Snapshot:
    """A dozen short queries in one read transaction."""
    now = utc_now()
    first = int(now.timestamp()) // 60 - SPARK_MINUTES + 1
    with ctx.db.read() as db:
        windows = gauges.windows(db, now)
        requests = merge_requests.open_ones(db)
        return Snapshot(
            now=now,
            repositories=repositories.every(db),
            agents=agents.every(db),
            accounts={account.id or 0: account for account in accounts.every(db)},
            sessions=sessions.latest_by_agent(db),
            tasks={task.id or 0: task for task in tasks.backlog(db)},
            permissions=sessions.open_permissions(db),
            advised=balancing.advised(db),
            merge_requests=requests,
            checks=checks.newest_of_each(db, [row.id or 0 for row in requests]),
            radars=radar.every(db),
            rates=_rates(sessions.output_since(db, first), first),
            lines=clock.timelines(db, SPARK_MINUTES, now),
            windows=windows,
            gauge=gauges.strip(db, now, windows),
        )


def _rates(rows: list[tuple[str, int, int]], first: int) -> dict[str, list[int]]:
    rates: dict[str, list[int]] = {}
    for session_id, minute, output_tokens in rows:
        series = rates.setdefault(session_id, [0] * SPARK_MINUTES)
        if 0 <= minute - first < SPARK_MINUTES:
            series[minute - first] += output_tokens
    return rates


def per_minute(series: list[int], now: datetime) -> float:
    """Output tokens of the last sixty seconds: the running minute, the rest of the one before.

    It moves every ten seconds only, so that numbers can be read and tiles are not sent for it.
    """
    if len(series) < 2:
        return 0.0
    return series[-1] + series[-2] * (1 - now.second // 10 / 6)


@cache
def capabilities() -> dict[str, Capabilities]:
    """What every driver can do, by its id."""
    return {name: registry.driver(name).capabilities for name in registry.DRIVERS}


def offered() -> dict[str, Capabilities]:
    """The drivers a human can log in to; the others are made by programs."""
    return {
        name: can for name, can in capabilities().items() if can.login_command or can.api_key_env
    }


def driver_label(driver_id: str) -> str:
    known = capabilities().get(driver_id)
    return known.label if known else driver_id
