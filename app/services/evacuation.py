"""Work under way whose account is refused, or is about to be: it waits in place, parks or moves.

In auto_all it moves by itself; in the other modes a move is advised. Only accounts of its own
vendor's family count here: a hand-over across vendors is the human's to ask for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlmodel import Session as Orm

from app.errors import AppError
from app.models import Agent, Session, Task
from app.models.base import utc_now
from app.services import balancer, logins, moves
from app.services.agents import model_of
from app.services.balance import (
    DOLLARS_PER_HOUR,
    AccountView,
    Decision,
    TaskView,
    after_limit,
    at_turn_end,
)
from app.services.balance.policy import DRY_HOURS
from app.services.context import Context
from app.services.scales import Scales, weigh_accounts
from app.store import accounts, agents, balancing, sessions, tasks
from app.store import moves as waiting_moves

RE_READ_DOLLARS = 1.9  # about 200 thousand tokens, where nobody knows better

log = structlog.get_logger()


_Policy = Callable[[TaskView, Sequence[AccountView], datetime], Decision]


@dataclass(frozen=True)
class _Case:
    """One session at the scales."""

    session: Session
    task: Task
    agent: Agent
    view: TaskView
    others: list[AccountView]  # that its conversation or a note of it could go on with
    scales: Scales
    mode: str

    @property
    def home_id(self) -> int:
        return self.agent.account_id


def follow_limit(ctx: Context, session_id: str) -> None:
    """A turn has ended at a limit and its task is parked: note what was decided, or advise."""
    with ctx.db.read() as db:
        session = sessions.get(db, session_id)
        case = _case(db, weigh_accounts(db, utc_now()), session) if session else None
    if case is None or case.mode == "off" or case.task.state != "parked":
        return
    case, decision = _decide_limited(ctx, case)
    if decision.action != "move" or case.mode != "auto_all":  # `look` moves it: that takes seconds
        _follow(ctx, case, decision, is_news=True)


def look(ctx: Context) -> int:
    """Sessions that go on on an account that runs dry, or wait for one; returns moves and advice.

    At most half of an account's live sessions leave it at one look.
    """
    balancer.expire(ctx)
    with ctx.db.read() as db:
        cases = _cases(db)
    done = 0
    left: dict[int, int] = {}
    for found in cases:
        case, live = found, found.session.state in sessions.LIVE_STATES
        home = case.scales.views[case.home_id]
        if live and left.get(case.home_id, 0) >= max(1, home.running // 2):
            continue
        case, decision = _decide_live(ctx, case) if live else _decide_limited(ctx, case)
        if decision.action == "move" and _follow(ctx, case, decision, is_news=False):
            done += 1
            left[case.home_id] = left.get(case.home_id, 0) + 1
    return done


def task_view(db: Orm, scales: Scales, session: Session, task: Task, home_id: int) -> TaskView:
    """A session for the policy."""
    moved = balancing.moves_of(db, task.id or 0, scales.now - timedelta(days=1))
    last, home = session.last_event_at, scales.views.get(home_id)
    is_warm = last is not None and scales.now - last < logins.cache_life(scales.accounts[home_id])
    return TaskView(
        id=str(task.id),
        families=frozenset([home.family]) if home else None,
        dollars_per_hour=scales.burns.get(session.id, DOLLARS_PER_HOUR),
        home_id=str(home_id),
        reread_dollars=RE_READ_DOLLARS if session.conversation_id else 0.0,
        is_warm=is_warm and bool(session.conversation_id),
        moved_at=moved[-1] if moved else None,
        moves_today=len(moved),
        may_overflow=task.may_overflow,
    )


def _cases(db: Orm) -> list[_Case]:
    """Sessions worth a look, the coldest first: few, and none while no account is near its end."""
    if balancer.mode(db) == "off" or len(accounts.every(db)) < 2:
        return []
    under_way = sessions.under_way(db)
    if not under_way:
        return []
    scales = weigh_accounts(db, utc_now())
    troubled = {n for n, view in scales.views.items() if _is_troubled(view, scales.now)}
    told = {row.task_id for row in balancing.advised(db)} if troubled else set()
    told |= {row.task_id for row in balancer.refused(db, scales.now)} if troubled else set()
    leaving = {row.agent_id for row in waiting_moves.pending(db)} if troubled else set()
    found = [
        _case(db, scales, session)
        for session in under_way
        if session.account_id in troubled
        and session.task_id not in told
        and session.agent_id not in leaving
    ]
    cases = [case for case in found if case is not None]
    return sorted(cases, key=lambda case: (case.view.is_warm, -case.session.created_at.timestamp()))


def _is_troubled(view: AccountView, now: datetime) -> bool:
    """Refused, closed, or with a throttle that may be about to run dry."""
    burn = view.burn_dollars_per_hour + DOLLARS_PER_HOUR
    dry = (not w.is_budget and w.left_dollars(now) < DRY_HOURS * burn for w in view.windows)
    return view.is_limited(now) or bool(view.closed) or any(dry)


def _case(db: Orm, scales: Scales, session: Session) -> _Case | None:
    task, agent = tasks.get(db, session.task_id), agents.get(db, session.agent_id)
    if task is None or agent is None or agent.account_id not in scales.views:
        return None
    home = scales.accounts[agent.account_id]
    model = model_of(agent)
    others = [
        view
        for account_id, view in scales.views.items()
        if account_id == agent.account_id
        or (
            agent.is_movable
            and scales.accounts[account_id].is_rehearsal == home.is_rehearsal
            and view.allows(model)
        )
    ]
    view = task_view(db, scales, session, task, agent.account_id)
    return _Case(session, task, agent, view, others, scales, balancer.mode(db))


def _decide_limited(ctx: Context, case: _Case) -> tuple[_Case, Decision]:
    """After a refusal; the price of moving is asked for only where a move would be chosen."""
    others = [_closed_until(case, view) for view in case.others]
    return _decide(ctx, replace(case, others=others), after_limit)


def _decide_live(ctx: Context, case: _Case) -> tuple[_Case, Decision]:
    """At the end of its turn; its account's view is without it."""
    burn = case.view.dollars_per_hour

    def without(view: AccountView) -> AccountView:
        if view.id != str(case.home_id):
            return view
        rest = max(0.0, view.burn_dollars_per_hour - burn)
        return replace(view, running=max(0, view.running - 1), burn_dollars_per_hour=rest)

    return _decide(ctx, replace(case, others=[without(view) for view in case.others]), at_turn_end)


def _decide(ctx: Context, case: _Case, policy: _Policy) -> tuple[_Case, Decision]:
    decision = policy(case.view, case.others, case.scales.now)
    if decision.action != "move":
        return case, decision
    case = replace(case, view=_priced(ctx, case, decision))
    return case, policy(case.view, case.others, case.scales.now)


def _closed_until(case: _Case, view: AccountView) -> AccountView:
    """Its home, where the house closed it: it opens when the task is looked at again."""
    if view.id != str(case.home_id) or view.limited_until is not None or not view.closed:
        return view
    return replace(view, limited_until=case.task.parked_until)


def _priced(ctx: Context, case: _Case, decision: Decision) -> TaskView:
    """The view with what this very move would cost, where that is known."""
    target = case.scales.accounts[int(decision.account_id or 0)]
    try:
        told = moves.preview(ctx, agent=case.agent.name, account=target.name)
    except AppError:
        return case.view
    costs = case.view.reread_dollars if told.costs_usd is None else told.costs_usd
    return replace(case.view, reread_dollars=costs, is_warm=told.is_warm)


def _follow(ctx: Context, case: _Case, decision: Decision, *, is_news: bool) -> bool:
    """Write the decision down and carry it out; False where nothing came of it."""
    is_move = decision.action == "move"
    if not is_move and not is_news:
        return False
    now, stall = case.scales.now, decision.until or case.task.parked_until
    home = case.scales.views[case.home_id]
    stall = stall or home.limited_until or _dry_until(home, now)
    with ctx.db.write() as db:
        for older in balancing.advised(db):
            if older.task_id == case.task.id:  # one advice at a time
                balancing.settle(db, older.id or 0, ("advised",), "expired", now)
        row = balancer.note(
            db,
            case.scales,
            mode=case.mode,
            action=decision.action,
            state="advised" if is_move else "applied",
            decision=decision,
            task_id=case.task.id,
            agent_id=case.agent.id,
            session_id=case.session.id,
            from_account_id=case.home_id,
            to_account_id=int(decision.account_id) if is_move and decision.account_id else None,
            until_at=stall,
            costs_usd=case.view.reread_dollars if is_move else None,
            saves_hours=(stall - now) / timedelta(hours=1) if is_move and stall else None,
        )
    ctx.publish("balancer", "accounts")
    if is_move and case.mode == "auto_all":
        _move(ctx, case, row.id or 0, decision)
    return True


def _move(ctx: Context, case: _Case, decision_id: int, decision: Decision) -> None:
    """By the balancer itself. What can't be done stays as advice, with the reason in the log."""
    target = case.scales.accounts[int(decision.account_id or 0)]
    try:
        moves.move_agent(
            ctx,
            agent=case.agent.name,
            account=target.name,
            by="balancer",
            reason=decision.reason,
            decision=decision_id,
        )
    except AppError as error:
        log.warning("a move was refused", agent=case.agent.name, problem=str(error))


def _dry_until(home: AccountView, now: datetime) -> datetime | None:
    """When the throttle that runs dry returns."""
    ends = [w.resets_at for w in home.windows if not w.is_budget and w.resets_at is not None]
    return max((end for end in ends if end > now), default=None)
