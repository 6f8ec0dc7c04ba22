"""One agent: who it is, what it does now, what it changed, what it asks."""

from dataclasses import dataclass

from sqlmodel import Session as Orm

from app.errors import NotFound
from app.models import Account, Agent, MergeRequest, Message, Permission, Session, Task
from app.models.base import utc_now
from app.services import diffs, prices, quotas
from app.services import usage as ledger
from app.services.context import Context
from app.services.diffs import StoredDiff
from app.services.prices import Equivalent
from app.services.radar import Warned, warnings_of_session
from app.store import accounts, agents, merge_requests, radar, sessions, tasks, usage
from app.store.sessions import LIVE_STATES
from app.web import format as fmt
from app.web.contexts.snapshot import state_of


@dataclass(frozen=True)
class Spent:
    """What an agent used today, its quota, and a sentence where that is used up."""

    output: int  # tokens
    usd: Equivalent
    quota: str  # "" = it has none
    over: str


@dataclass(frozen=True)
class AgentView:
    agent: Agent
    account: Account | None
    state: str
    session: Session | None  # the one that is shown
    task: Task | None
    permissions: list[Permission]
    queued: list[Message]  # said, not yet delivered
    request: MergeRequest | None
    older: list[Session]
    titles: dict[int, str]  # task titles of the older sessions, by task id
    equivalent: Equivalent | None  # at list price, where the vendor gave no cost
    today: Spent  # since 00:00 UTC
    warnings: list[Warned]  # other work that collides with the session's
    diff: StoredDiff | None = None

    @property
    def is_newest(self) -> bool:
        return self.session is None or not self.older or self.older[0].id == self.session.id

    @property
    def is_live(self) -> bool:
        return self.session is not None and self.session.state in LIVE_STATES

    @property
    def can_hear(self) -> bool:
        return self.session is not None and self.session.state != "ended"


def head(ctx: Context, name: str, session_id: str | None = None) -> AgentView:
    """The agent and one of its sessions (None: the newest); NotFound where there is none."""
    with ctx.db.read() as db:
        agent = agents.by_name(db, name)
        if agent is None:
            raise NotFound(f"There is no agent {name!r}; the list of agents shows them.")
        every = sessions.of_agent(db, agent.id or 0)
        shown = every[0] if every else None
        if session_id is not None:
            shown = sessions.get(db, session_id)
            if shown is None or shown.agent_id != agent.id:
                raise NotFound(f"{name} has no session {session_id!r}; its page lists them.")
        task = tasks.get(db, shown.task_id) if shown else None
        tokens = usage.of_session(db, shown.id) if shown and shown.cost_usd is None else []
        titles = {row.task_id: tasks.get(db, row.task_id) for row in every}
        return AgentView(
            agent=agent,
            account=accounts.get(db, agent.account_id),
            state=state_of(agent, shown, task),
            session=shown,
            task=task,
            permissions=sessions.open_permissions(db, shown.id) if shown else [],
            queued=sessions.queued_messages(db, shown.id) if shown else [],
            request=merge_requests.of_task(db, shown.task_id) if shown else None,
            older=every,
            titles={key: row.title for key, row in titles.items() if row is not None},
            equivalent=prices.equivalent(tokens) if tokens else None,
            today=_today(db, agent),
            warnings=_warnings(db, shown, task),
        )


def _warnings(db: Orm, session: Session | None, task: Task | None) -> list[Warned]:
    if session is None or task is None:
        return []
    return warnings_of_session(radar.get(db, task.repository_id, task.base_branch), session.id)


def _today(db: Orm, agent: Agent) -> Spent:
    now = utc_now()
    output, usd = ledger.agent_today(db, agent.id or 0, now)
    over = quotas.over(db, now).get(agent.id or 0, "") if agent.quota_unit else ""
    return Spent(output, usd, quota_words(agent), over)


def quota_words(agent: Agent) -> str:
    """An agent's quota: "$10 a day", "20% of its account's budget a day"; "" without one."""
    amount = agent.quota_per_day
    if not agent.quota_unit or amount is None:
        return ""
    words = {
        "tokens": f"{fmt.count(amount)} tokens out",
        "usd": fmt.usd(amount),
        "percent": f"{amount:g}% of its account's budget",
    }
    return f"{words.get(agent.quota_unit, f'{amount:g} {agent.quota_unit}')} a day"


def full(ctx: Context, name: str, session_id: str | None = None) -> AgentView:
    """As `head`, with the session's diff so far."""
    view = head(ctx, name, session_id)
    if view.session is None:
        return view
    diff = diffs.session_diff(ctx, session_id=view.session.id)
    return AgentView(**{**vars(view), "diff": diff})
