"""Moves: an agent, with or without work, goes from one account to another.

A move is decided in one row and carried out when no turn runs; until then the row waits. Each step
can be done again, so a killed server loses none of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.errors import Conflict, NotFound, Unavailable
from app.models import Account, Agent, BalancerDecision, Session
from app.models.base import utc_now
from app.services import accounts
from app.services import tasks as task_services
from app.services.context import Context
from app.services.ledger import record
from app.services.move_effect import settle, take_effect
from app.services.move_preview import (
    MovePreview,
    parties,
    preview,
    program_problem,
    refusal,
)
from app.services.sessions import command
from app.store import moves, sessions, tasks

__all__ = [
    "Move",
    "MovePreview",
    "call_off",
    "move_agent",
    "move_task",
    "preview",
    "settle_moves",
]

PATIENCE = timedelta(seconds=60)  # with a turn that does not heed its interruption


@dataclass(frozen=True)
class Move:
    """What became of a wish to move."""

    agent: str
    from_account: str
    to_account: str
    is_done: bool  # False: it waits for the turn to end
    decision_id: int
    says: str  # one sentence


def move_agent(
    ctx: Context,
    *,
    agent: str,
    account: str,
    by: str = "human",
    reason: str = "",
    decision: int | None = None,
    now: bool = False,
) -> Move:
    """Move an agent at once, or when its turn ends; with `now` the turn is interrupted.

    Conflict or Unavailable say in a sentence why not; then nothing has changed. `decision` is the
    balancer's row that is carried out. To where the agent is already: a waiting move is called off.
    """
    at = utc_now()
    if _only_calls_off(ctx, agent, account, at, by):
        return call_off(ctx, agent=agent)
    before = preview(ctx, agent=agent, account=account)
    with ctx.db.write() as db:
        mover, source, target = parties(db, agent, account)
        if why := refusal(db, mover, target, at, by=by):
            raise Conflict(why)  # since we asked its program
        _drop(db, mover, "expired")
        row = _row(db, decision, mover, source, target, before, by, reason)
        row.until_at = at if now else None
        db.add(row)
        db.flush()
        detail = {"from": source.name, "to": target.name, "reason": row.reason}
        record(db, "move", f"agent {agent}", actor=by, detail=detail)
        is_done = take_effect(db, row)
    ctx.publish("fleet", "tasks", "accounts", "balancer", "wake")
    says = f"{agent} is on {target.name}." if is_done else _waits(before, now=now)
    return Move(agent, source.name, target.name, is_done, row.id or 0, says)


def _only_calls_off(ctx: Context, agent: str, account: str, at: datetime, by: str) -> bool:
    """Whether it is a wish to stay; Conflict or Unavailable where the agent can't go."""
    with ctx.db.read() as db:
        mover, source, target = parties(db, agent, account)
        waits = bool(moves.pending(db, mover.id))
        why = refusal(db, mover, target, at, by=by)
    if target.id == source.id and waits:
        return True
    if why:
        raise Conflict(why)
    if problem := program_problem(ctx, mover, target):
        raise Unavailable(problem)
    return False


def move_task(ctx: Context, *, task_id: int, account: str) -> Move | None:
    """Work that is begun moves with its agent; what waits is put on that account (None)."""
    with ctx.db.write() as db:
        task = task_services.existing(db, task_id)
        if task.state not in tasks.OPEN_STATES:
            raise Conflict(f"Task {task_id} is {task.state}; only an open task can be moved.")
        begun = sessions.resumable(db, task_id)
        worker = db.get(Agent, begun.agent_id) if begun else None
        if worker is None:
            target = accounts.existing(db, account)
            task.wanted_account_id = target.id
            db.add(task)
            record(db, "move", f"task {task_id}", detail={"to": target.name})
    if worker is not None:
        return move_agent(ctx, agent=worker.name, account=account)
    ctx.publish("tasks", "wake")
    return None


def call_off(ctx: Context, *, agent: str) -> Move:
    """Take back a move that waits for the turn's end; Conflict where none does."""
    with ctx.db.write() as db:
        mover, source, _ = parties(db, agent, None)
        waiting = moves.pending(db, mover.id)
        if not waiting:
            raise Conflict(f"No move of {agent} is waiting; it is on {source.name}.")
        _drop(db, mover, "undone")
        record(db, "call_off", f"agent {agent}", detail={"stays": source.name})
    ctx.publish("fleet", "accounts", "balancer", "wake")
    return Move(
        agent,
        source.name,
        source.name,
        True,
        waiting[-1].id or 0,
        f"{agent} stays on {source.name}.",
    )


def settle_moves(ctx: Context) -> int:
    """Bring every waiting move a step further; returns how many took effect."""
    with ctx.db.read() as db:
        waiting = moves.pending(db)
    return sum(_advance(ctx, decided.id or 0) for decided in waiting)


def _advance(ctx: Context, decision_id: int) -> bool:
    with ctx.db.write() as db:
        decided = db.get(BalancerDecision, decision_id)
        if decided is None or decided.settled_at is not None:
            return False
        is_done = take_effect(db, decided)
        working = [] if is_done else _running(db, decided.agent_id or 0)
    if is_done:
        ctx.publish("fleet", "tasks", "accounts", "balancer", "wake")
        return True
    for session in working:
        _wind_up(ctx, session, decided)
    return False


def _wind_up(ctx: Context, session: Session, decided: BalancerDecision) -> None:
    """Stop the runner between two turns; interrupt the turn where the human wants it now."""
    asked_at = decided.until_at
    is_late = asked_at is not None and utc_now() - asked_at > PATIENCE
    try:
        state = command(ctx, session.id, "status")["state"]
        if state == "running" and asked_at is not None and not is_late:
            command(ctx, session.id, "interrupt")
    except Unavailable:
        if not is_late:
            return  # starting, or ending: the next look tells
        state = ""
    if state != "ready" and not is_late:
        return
    with ctx.db.write() as db:
        row = sessions.get(db, session.id)
        if row is not None and row.state == "running":
            row.wants_stop = True
            db.add(row)


def _running(db: Orm, agent_id: int) -> list[Session]:
    work = moves.work_of(db, agent_id)
    return [s for s, _ in work if s.state == "running" and not s.wants_stop]


def _drop(db: Orm, mover: Agent, state: str) -> None:
    """The newest wish counts: what waited is done with."""
    for waiting in moves.pending(db, mover.id):
        settle(db, waiting, state)


def _row(
    db: Orm,
    decision: int | None,
    mover: Agent,
    source: Account,
    target: Account,
    before: MovePreview,
    by: str,
    reason: str,
) -> BalancerDecision:
    """The row that is carried out: the balancer's, or one for the human's own hand."""
    row = db.get(BalancerDecision, decision) if decision is not None else None
    if decision is not None and row is None:
        raise NotFound(f"There is no decision {decision}; look at the list again.")
    if row is None:
        mode = "human" if by == "human" else "auto_all"
        row = BalancerDecision(mode=mode, action="move", reason=reason or "You moved it.")
        row.costs_usd, row.saves_hours = before.costs_usd, before.saves_hours
    row.state, row.settled_at = "applied", None
    row.agent_id, row.session_id = mover.id, before.session_id
    row.task_id = row.task_id or before.task_id
    row.from_account_id, row.to_account_id = source.id, target.id
    return row


def _waits(before: MovePreview, *, now: bool) -> str:
    when = "when its turn ends" if before.is_in_turn else "in a moment"
    if now and before.is_in_turn:
        when = "as soon as its turn is interrupted"
    return f"{before.agent} goes to {before.to_account} {when}."
