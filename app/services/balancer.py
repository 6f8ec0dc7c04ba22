"""The balancer as the human meets it: its mode, its decisions as rows, and his word on each.

What it decides is in `dispatch` (new work), `parking` and `evacuation` (work under way), by the
policy in `balance`. Every decision is one row with the numbers that made it.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session as Orm

from app.errors import AppError, Conflict, Invalid, NotFound
from app.models import Account, Agent, BalancerDecision
from app.models.balancing import MODES
from app.models.base import utc_now
from app.services import moves
from app.services.balance import Decision, Weighed
from app.services.context import Context
from app.services.ledger import record
from app.services.scales import Scales, weigh_accounts
from app.store import balancing, tasks

MODE_KEY = "balancer_mode"
DEFAULT_MODE = "advise"
REFUSED_FOR = timedelta(hours=6)
ADVICE_HOLDS = timedelta(minutes=30)  # advice to start elsewhere, of a task that has begun
_VERBS = {
    "start": "Start on {to}",
    "move": "Move to {to}",
    "park": "Park",
    "hold": "Wait in place",
    "stay": "Stay",
}


def mode(db: Orm) -> str:
    """One of `MODES`."""
    said = balancing.preference(db, MODE_KEY)
    return said if said in MODES else DEFAULT_MODE


def set_mode(ctx: Context, mode: str) -> str:
    """Switch the balancer; Invalid names the modes."""
    if mode not in MODES:
        raise Invalid(f"{mode!r} is no mode: take one of {', '.join(MODES)}.")
    with ctx.db.write() as db:
        balancing.set_preference(db, MODE_KEY, mode)
        record(db, "set", "balancer", detail={"mode": mode})
    ctx.publish("balancer", "accounts", "wake")
    return mode


@dataclass(frozen=True)
class Drought:
    """Whether any account takes work, and when the first used-up one returns."""

    is_dry: bool
    returns_at: datetime | None


def drought(db: Orm, now: datetime) -> Drought:
    """Dry is: there are accounts, and each is refused or closed."""
    seen = weigh_accounts(db, now).views.values()
    ends = [view.limited_until for view in seen if view.limited_until is not None]
    is_dry = len(seen) > 0 and all(view.is_limited(now) or view.closed for view in seen)
    return Drought(is_dry, min(ends, default=None))


def decisions(db: Orm, limit: int = 50) -> list[BalancerDecision]:
    """What waits for a click first, then the newest."""
    waiting = balancing.advised(db)[::-1]
    known = {row.id for row in waiting}
    rest = [row for row in balancing.newest(db, limit) if row.id not in known]
    return [*waiting, *rest][:limit]


def refused(db: Orm, now: datetime) -> list[BalancerDecision]:
    """What the human dismissed or undid of late: it is not advised again so soon."""
    return balancing.refused(db, now - REFUSED_FOR)


def note(
    db: Orm,
    scales: Scales,
    *,
    mode: str,
    action: str,
    decision: Decision | None,
    state: str = "applied",
    **facts: Any,
) -> BalancerDecision:
    """Write a decision down, with every number that was looked at; `facts` are its columns."""
    target = scales.accounts.get(facts.get("to_account_id") or 0)
    reason = decision.reason if decision is not None else "the human named it"
    verb = _VERBS[action].format(to=target.name if target else "another account")
    row = BalancerDecision(
        at=scales.now,
        mode=mode,
        action=action,
        state=state,
        reason=f"{verb}: {reason}.",
        weighed=[_weighed(one, scales) for one in decision.weighed] if decision else [],
        settled_at=scales.now if state == "applied" else None,
        **facts,
    )
    db.add(row)
    db.flush()
    return row


def apply(ctx: Context, decision_id: int) -> BalancerDecision:
    """Do what was advised."""
    with ctx.db.read() as db:
        row = _existing(db, decision_id)
        if row.state != "advised":
            raise Conflict(f"This advice is {row.state}; only what is still advised can be done.")
        task = tasks.get(db, row.task_id) if row.task_id else None
        account, agent = db.get(Account, row.to_account_id), db.get(Agent, row.agent_id)
    if account is None:
        raise Conflict("The account that was advised is gone; dismiss the advice.")
    if task is not None and task.state == "queued" and task.agent_id is None:
        moves.move_task(ctx, task_id=task.id or 0, account=account.name)
        _settle(ctx, decision_id, ("advised",), "applied")
    elif agent is not None:
        _call(ctx, decision_id, "move")  # work that has begun is moved, whatever was advised before
        try:
            moves.move_agent(ctx, agent=agent.name, account=account.name, decision=decision_id)
        except AppError:
            _call(ctx, decision_id, row.action)
            raise
    _publish(ctx)
    return _again(ctx, decision_id)


def dismiss(ctx: Context, decision_id: int) -> BalancerDecision:
    """The human said no: it is not advised again for this task for some hours."""
    _settle(ctx, decision_id, ("advised",), "dismissed")
    _publish(ctx)
    return _again(ctx, decision_id)


def undo(ctx: Context, decision_id: int) -> BalancerDecision:
    """Send the agent back to where it was; Conflict where that is not possible any more."""
    with ctx.db.read() as db:
        row = _existing(db, decision_id)
        agent, home = db.get(Agent, row.agent_id), db.get(Account, row.from_account_id)
    if row.state != "applied":
        raise Conflict(f"This decision is {row.state}; only an applied one can be undone.")
    if row.action not in ("start", "move") or row.from_account_id == row.to_account_id:
        raise Conflict("Nothing was moved by this decision, so there is nothing to move back.")
    if agent is None or home is None:
        raise Conflict("Its agent or account is gone, so it cannot go back.")
    if not _takes_back_wish(ctx, row):
        _send_back(ctx, row, agent, home)
    _settle(ctx, decision_id, ("applied", "undone"), "undone")
    _publish(ctx)
    return _again(ctx, decision_id)


def _send_back(ctx: Context, row: BalancerDecision, agent: Agent, home: Account) -> None:
    """The agent has moved, or will when its turn ends."""
    if row.action == "move" and row.settled_at is None:
        moves.call_off(ctx, agent=agent.name)
    elif agent.account_id != row.to_account_id:
        raise Conflict(f"{agent.name} has gone elsewhere since; move it by hand.")
    else:
        moves.move_agent(ctx, agent=agent.name, account=home.name, reason="You undid a decision.")


def expire(ctx: Context, now: datetime | None = None) -> int:
    """Advice whose moment is over is marked so; returns how many."""
    at = now or utc_now()
    with ctx.db.read() as db:
        over = [row.id or 0 for row in balancing.advised(db) if _is_over(db, row, at)]
    if over:
        with ctx.db.write() as db:
            for decision_id in over:
                balancing.settle(db, decision_id, ("advised",), "expired", at)
        _publish(ctx)
    return len(over)


def _is_over(db: Orm, row: BalancerDecision, now: datetime) -> bool:
    """Its task is over or at work elsewhere, its agent moved, or what it would dodge has passed."""
    if row.until_at is not None and row.until_at <= now:
        return True
    if mode(db) == "off":
        return True
    task = tasks.get(db, row.task_id) if row.task_id else None
    agent = db.get(Agent, row.agent_id) if row.agent_id else None
    if agent is None or agent.account_id != row.from_account_id:
        return True
    if row.task_id is not None and (task is None or task.state not in _GOING_ON):
        return True
    if task is not None and task.agent_id not in (None, agent.id):
        return True
    has_begun = task is not None and task.state == "running"
    return row.action == "start" and has_begun and now - row.at > ADVICE_HOLDS


_GOING_ON = ("queued", "running", "parked")


def _weighed(one: Weighed, scales: Scales) -> dict[str, Any]:
    account_id = int(one.account_id)
    account = scales.accounts.get(account_id)
    numbers = {name: value for name, value in asdict(one).items() if name != "account_id"}
    return {"account_id": account_id, "account": account.name if account else "", **numbers}


def _call(ctx: Context, decision_id: int, action: str) -> None:
    with ctx.db.write() as db:
        row = _existing(db, decision_id)
        row.action = action
        db.add(row)


def _settle(ctx: Context, decision_id: int, was: tuple[str, ...], now: str) -> None:
    with ctx.db.write() as db:
        row = _existing(db, decision_id)
        state = row.state
        if not balancing.settle(db, decision_id, was, now, utc_now()):
            raise Conflict(f"This decision is {state} already; look again.")
        record(db, now, f"balancer decision {decision_id}")


def _existing(db: Orm, decision_id: int) -> BalancerDecision:
    row = balancing.get(db, decision_id)
    if row is None:
        raise NotFound(f"There is no decision {decision_id}; `quarterdeck balance` lists them.")
    return row


def _takes_back_wish(ctx: Context, row: BalancerDecision) -> bool:
    """A task that still waits for the account it was advised to start on waits for any again."""
    with ctx.db.write() as db:
        task = tasks.get(db, row.task_id) if row.task_id else None
        if task is None or task.state != "queued" or task.wanted_account_id != row.to_account_id:
            return False
        task.wanted_account_id = None
        db.add(task)
    return True


def _again(ctx: Context, decision_id: int) -> BalancerDecision:
    with ctx.db.read() as db:
        return _existing(db, decision_id)


def _publish(ctx: Context) -> None:
    ctx.publish("balancer", "accounts", "tasks", "fleet", "wake")
