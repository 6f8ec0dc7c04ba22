"""A decided move takes effect: in one transaction, once no runner of the agent lives."""

from datetime import datetime

from sqlmodel import Session as Orm

from app.models import Account, Agent, BalancerDecision, Session, Task
from app.models.base import utc_now
from app.services.agents import model_on
from app.store import moves, sessions

WAITS = "It was interrupted before it moved to {account}: say how to go on, or start it."


def take_effect(db: Orm, decided: BalancerDecision) -> bool:
    """Give the agent its new account and let its work go on; False while something still runs.

    Its sessions follow when they are launched: conversation carried along, or handed over.
    """
    agent = db.get(Agent, decided.agent_id) if decided.agent_id else None
    account = db.get(Account, decided.to_account_id) if decided.to_account_id else None
    if agent is None or account is None:
        return settle(db, decided, "expired")
    is_refused = account.limited_until is not None and account.limited_until > utc_now()
    if is_refused and decided.mode.startswith("auto"):
        return settle(db, decided, "expired")  # what was decided for a gain, and would be a loss
    work = moves.work_of(db, agent.id or 0)
    if any(session.state in sessions.LIVE_STATES for session, _ in work):
        return False
    if any(session.pending_outcome and task.state == "running" for session, task in work):
        return False  # first what the ended turn made
    agent.model = model_on(agent, account)
    agent.driver, agent.account_id = account.driver, account.id or 0
    db.add(agent)
    seen: set[int] = set()
    for session, task in work:
        if task.id not in seen and task.agent_id == agent.id:
            _go_on(db, session, task, account, asked=decided.until_at is not None)
        seen.add(task.id or 0)
    return settle(db, decided, "applied")


def settle(db: Orm, decided: BalancerDecision, state: str, at: datetime | None = None) -> bool:
    """The decision is done with."""
    decided.state, decided.settled_at = state, at or utc_now()
    db.add(decided)
    db.flush()
    return True


def _go_on(db: Orm, session: Session, task: Task, account: Account, *, asked: bool) -> None:
    """Work that stood still or was interrupted for the move goes back to the dispatcher."""
    if task.wanted_account_id is not None:
        task.wanted_account_id = account.id
    if task.state == "parked" or (task.state == "running" and not session.wants_start):
        waits = task.state == "running" and task.state_reason and not asked
        if waits and not sessions.queued_messages(db, session.id):
            task.state, task.state_reason = "failed", WAITS.format(account=account.name)
        else:
            task.state, task.state_reason = "queued", ""
        task.parked_until = None
    db.add(task)
