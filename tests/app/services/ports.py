"""A small harbour for the balancer's tests: logins with windows, agents, tasks, no processes."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from app.models import (
    Account,
    Agent,
    BalancerDecision,
    QuotaReading,
    Repository,
    Session,
    Task,
    UsageMinute,
)
from app.models.base import utc_now
from app.services import balancer
from app.services.context import Context
from app.services.prices import equivalent_usd
from tests.app import factories as make

WEEK, SHORT = 10080, 300


class Harbour:
    """Rows by name, and what became of them."""

    def __init__(self, ctx: Context, path: Path) -> None:
        self.ctx, self.path = ctx, path
        self.repository: Repository = make.repository(ctx)

    def mode(self, mode: str) -> None:
        balancer.set_mode(self.ctx, mode)

    def login(
        self,
        name: str,
        week: float | None = None,
        short: float | None = None,
        *,
        resets_in: float = 84.0,
        **more: Any,
    ) -> Account:
        """A subscription in a directory of its own; windows in used percent, None: never told."""
        directory = self.path / name.replace(" ", "-")
        directory.mkdir(parents=True)
        given = {"config_dir": str(directory), "week_usd": 500.0} | more
        account = make.account(self.ctx, name, **given)
        if week is not None:
            self.read(account, "seven_day", week, WEEK, resets_in)
        if short is not None:
            self.read(account, "five_hour", short, SHORT, 2.5)
        return account

    def read(
        self, account: Account, kind: str, used: float, minutes: int, hours: float | None
    ) -> None:
        resets_at = utc_now() + timedelta(hours=hours) if hours is not None else None
        make.quota(self.ctx, account, kind, used, window_minutes=minutes, resets_at=resets_at)

    def read_again(self, account: Account, kind: str, used: float) -> None:
        with self.ctx.db.write() as db:
            row = db.get_one(QuotaReading, (account.id, kind))
            row.used_percent, row.observed_at = used, utc_now()
            db.add(row)

    def at_work(self, agent: Agent, **more: Any) -> Session:
        """A session in the middle of a turn on a running task."""
        task = make.task(self.ctx, self.repository, state="running", agent_id=agent.id)
        given = {"conversation_id": f"c-{task.id}", "last_event_at": utc_now()} | more
        return make.session(self.ctx, agent, task, **given)

    def spent(self, session: Session, dollars: float, model: str = "claude-opus-4-5") -> None:
        """Output tokens of just now, worth so many dollars at list price."""
        usd = equivalent_usd(model, output=1_000_000)
        assert usd is not None
        with self.ctx.db.write() as db:
            row = UsageMinute(
                session_id=session.id,
                account_id=session.account_id,
                model=model,
                minute=int(utc_now().timestamp()) // 60,
                output_tokens=round(1_000_000 * dollars / usd),
            )
            db.add(row)

    def key(self, name: str, **more: Any) -> Account:
        return make.account(self.ctx, name, "claude_code", auth="api_key", **more)

    def agent(self, name: str, account: Account, **more: Any) -> Agent:
        return make.agent(self.ctx, name, account, **more)

    def task(self, **more: Any) -> int:
        return make.task(self.ctx, self.repository, **more).id or 0

    def limit(self, account: Account, until: datetime) -> None:
        with self.ctx.db.write() as db:
            row = db.get_one(Account, account.id)
            row.limited_until = until
            db.add(row)

    def row(self, task_id: int) -> Task:
        with self.ctx.db.read() as db:
            return db.get_one(Task, task_id)

    def of(self, task_id: int) -> tuple[str, str]:
        """(name of the agent that has the task, name of that agent's account)."""
        with self.ctx.db.read() as db:
            task = db.get_one(Task, task_id)
            if task.agent_id is None:
                return "", ""
            agent = db.get_one(Agent, task.agent_id)
            return agent.name, db.get_one(Account, agent.account_id).name

    def decisions(self, **wanted: Any) -> list[BalancerDecision]:
        """Oldest first, those whose fields are as wanted."""
        with self.ctx.db.read() as db:
            rows = db.exec(select(BalancerDecision).order_by(col(BalancerDecision.id))).all()
        return [row for row in rows if all(getattr(row, k) == v for k, v in wanted.items())]

    def changes(self) -> int:
        """Rows that were ever written on the writer's connection: it grows with every write."""
        with self.ctx.db.write() as db:
            return int(db.connection().exec_driver_sql("SELECT total_changes()").scalar_one())
