"""What a move would cost and save, and why it is refused: from stored state only."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlmodel import Session as Orm

from agents import events as ev
from agents import journal
from agents.errors import AgentError
from agents.registry import driver as find_driver
from app.errors import AppError
from app.models import Account, Agent, Session, Task
from app.models.base import utc_now
from app.services import gauges, logins, quotas
from app.services.accounts import existing, secrets
from app.services.agents import existing as existing_agent
from app.services.agents import model_of
from app.services.context import Context
from app.services.environment import agent_home, child_environment
from app.services.handover import can_carry
from app.services.handover_note import likely_chars
from app.services.ingest import journal_path
from app.services.prices import rates_of
from app.services.quota import refused_until
from app.store import agents, moves, quota, sessions

Way = Literal["idle", "carry", "handover"]
SOON = timedelta(minutes=15)  # a window that runs dry within this is as good as dry
TAIL = 400  # records of a journal's end in which the last model call is looked for
_CHARS_A_TOKEN = 4
_IDLE = ("idle", "error")


@dataclass(frozen=True)
class MovePreview:
    """A move before it is made. Dollars at list price, more than staying costs; None: unknown."""

    agent: str
    from_account: str
    to_account: str
    way: Way  # idle: no work under way · carry: its conversation goes along · handover: a note does
    costs_usd: float | None
    saves_hours: float | None  # of standing still
    is_warm: bool  # the prompt cache is still there, and would be paid again
    context_tokens: int | None  # of the last model call; None: not known
    refusal: str  # a sentence; "" where it can be done
    says: str  # one sentence for the human
    is_in_turn: bool = False  # it waits for the turn to end
    task_id: int | None = None
    session_id: str = ""


@dataclass(frozen=True)
class _Call:
    """The last model call of a session."""

    at: datetime
    model: str
    tokens: int  # all that went in


def preview(ctx: Context, *, agent: str, account: str) -> MovePreview:
    """What `moves.move_agent` would do; NotFound names an agent or account that is not there."""
    now = utc_now()
    with ctx.db.read() as db:
        mover, source, target = parties(db, agent, account)
        why = refusal(db, mover, target, now)
        work = _under_way(db, mover)
        until = _stalled_until(db, source, work[1], now) if work else None
    told = MovePreview(
        agent=agent,
        from_account=source.name,
        to_account=target.name,
        way="idle",
        costs_usd=0.0,
        saves_hours=_hours(until, now),
        is_warm=False,
        context_tokens=0,
        refusal=why,
        says="",
        is_in_turn=work is not None and _is_in_turn(*work),
        task_id=work[1].id if work else None,
        session_id=work[0].id if work else "",
    )
    if work is not None and (work[0].conversation_id or told.is_in_turn):
        told = _priced(ctx, told, work, mover, source, target, now)
    return replace(told, says=why or _says(told))


def _priced(
    ctx: Context,
    told: MovePreview,
    work: tuple[Session, Task],
    mover: Agent,
    source: Account,
    target: Account,
    now: datetime,
) -> MovePreview:
    """The same with what the conversation costs on its way."""
    session, task = work
    call = _last_call(ctx, session)
    way: Way = "carry" if can_carry(session.driver, target.driver) else "handover"
    is_warm = call is not None and now - call.at < logins.cache_life(source)
    model = model_of(mover, target)
    return replace(
        told,
        way=way,
        costs_usd=_costs(way, call, task, model, is_warm=is_warm),
        is_warm=is_warm,
        context_tokens=call.tokens if call else None,
    )


def _is_in_turn(session: Session, task: Task) -> bool:
    is_new = not session.conversation_id  # on its way up
    at_work = task.state == "running" and session.state in sessions.LIVE_STATES
    return at_work and (is_new or session.activity not in _IDLE)


def parties(db: Orm, agent: str, account: str | None) -> tuple[Agent, Account, Account]:
    """(agent, its account, the other one: its own where none is named); NotFound."""
    mover = existing_agent(db, agent)
    source = db.get_one(Account, mover.account_id)
    return mover, source, existing(db, account) if account is not None else source


def refusal(db: Orm, mover: Agent, target: Account, now: datetime, *, by: str = "human") -> str:
    """Why the agent can't go there, one sentence; "" where it can."""
    if mover.account_id == target.id:
        return f"{mover.name} is on {target.name} already."
    if by != "human" and not (mover.is_movable and target.is_automatic):
        kept = mover.name if not mover.is_movable else target.name
        return f"Only you may move {mover.name} to {target.name}: {kept} is not for the balancer."
    target_id = target.id or 0
    if why := quotas.closed(db, [target], now)[target_id]:
        return why
    if until := refused_until(target, quota.of_account(db, target_id), now):
        back = f"{until:%H:%M}" if until - now < timedelta(hours=20) else f"{until:%d %b %H:%M}"
        return (
            f"{target.name} has used up its window until {back} UTC: wait, or take another account."
        )
    model = model_of(mover, target)
    for _, task in moves.work_of(db, mover.id or 0):
        busy = task.agent_id == mover.id and task.state in agents.BUSY_STATES
        if busy and task.models and model not in task.models:
            allowed = " or ".join(task.models)
            return f"Task {task.id} is only for {allowed}, which {mover.name} would not use there."
    return ""


def program_problem(ctx: Context, mover: Agent, target: Account) -> str:
    """Why the account's program can't start, "" where it can. It runs programs: never in a page."""
    try:
        driver = find_driver(target.driver)
        env = child_environment(agent_home(ctx, mover), mover.name) | secrets(target)
        found = driver.available(logins.endpoint_of(target), env)
    except (AgentError, AppError) as error:
        return str(error)
    return "" if found.ok else found.problem


def _stalled_until(db: Orm, account: Account, task: Task, now: datetime) -> datetime | None:
    """When the account's refusal or dry window ends, or the task's parking; None: it works on."""
    ends = [refused_until(account, quota.of_account(db, account.id or 0), now)]
    if task.state == "parked":
        ends.append(task.parked_until)
    for gauge in gauges.of_account(db, account, now):
        dry_at = gauge.forecast.runs_dry_at
        if dry_at is not None and dry_at - now <= SOON and not gauge.scope:
            ends.append(gauge.reading.resets_at)
    return max((end for end in ends if end is not None and end > now), default=None)


def _under_way(db: Orm, mover: Agent) -> tuple[Session, Task] | None:
    """The session that goes on after the move; None where the agent has nothing to go on with."""
    for session, task in moves.work_of(db, mover.id or 0):
        if task.agent_id == mover.id and task.state in ("running", "parked", "queued"):
            return session, task
    return None


def _last_call(ctx: Context, session: Session) -> _Call | None:
    for record in reversed(journal.tail(journal_path(ctx, session.id), TAIL)):
        used = record.event
        if isinstance(used, ev.Usage):
            tokens = used.input_tokens + used.cache_write_tokens + used.cache_read_tokens
            if tokens:  # a call that was refused says 0
                return _Call(record.at, used.model or session.model, tokens)
    return None


def _costs(way: Way, call: _Call | None, task: Task, model: str, *, is_warm: bool) -> float | None:
    """Dollars more than staying: a warm cache is written again, a cold one would be anyway.

    After a hand-over the next agent is taken to read as much again as the last one had read.
    """
    if way == "carry":
        if call is None:
            return None
        if not is_warm:
            return 0.0
        rates = rates_of(call.model)
        return call.tokens * (rates.cache_write - rates.cache_read) if rates else None
    rates = rates_of(model) if model else None
    tokens = max(likely_chars(task) / _CHARS_A_TOKEN, call.tokens if call else 0)
    return tokens * rates.cache_write if rates else None


def _hours(until: datetime | None, now: datetime) -> float:
    return max(0.0, (until - now).total_seconds() / 3600) if until else 0.0


def _says(told: MovePreview) -> str:
    when = "when its turn ends" if told.is_in_turn else "at once"
    price = "for nobody knows how much"
    if told.costs_usd is not None:
        price = f"for about ${told.costs_usd:.2f}" if told.costs_usd >= 0.01 else "for under $0.01"
    how = ", and nothing has to be read again"
    if told.way == "handover":
        how = f", with a note in a new conversation; to read as much again costs {price[4:]}"
    elif told.way == "carry" and told.costs_usd == 0:
        how = ", with its conversation, which would be read again anyway"
    elif told.way == "carry":
        how = f", with its conversation, which is read again {price}"
    gain = f" It stands still {told.saves_hours:.1f} h less." if told.saves_hours else ""
    return f"{told.agent} goes to {told.to_account} {when}{how}.{gain}"
