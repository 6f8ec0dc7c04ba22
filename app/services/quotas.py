"""Quotas of agents and daily caps of accounts: who has had enough until 00:00 UTC.

An agent over its quota finishes its turn, then its task parks; it is given no work. An account over
its cap is stopped at once: a cap is money.
"""

from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import Account, Agent, Session, Task
from app.models.base import utc_now
from app.services import capacity, parking, prices
from app.services.context import Context
from app.store import accounts, agents, balancing, quota, sessions, usage

UNITS = ("tokens", "usd", "percent")  # "" = no quota
SUMMED_MINUTES = 10
_summed: dict[tuple[str, str], tuple[int, dict[str, list[usage.Tokens]]]] = {}
_RESTING = ("idle", "error", "waiting_slot")


def midnight(now: datetime) -> datetime:
    """The next 00:00 UTC."""
    return today(now) + timedelta(days=1)


def today(now: datetime) -> datetime:
    """The last 00:00 UTC."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def used_today(db: Orm, by: str, now: datetime) -> dict[str, list[usage.Tokens]]:
    """What was used since 00:00 UTC, by the id of the account or agent (as text).

    Asked every few seconds: what is older than some minutes is summed once in ten minutes.
    """
    edge = int(now.timestamp()) // 60 // SUMMED_MINUTES * SUMMED_MINUTES
    first = max(edge, _minute(today(now)))
    known = (str(db.get_bind().engine.url), by)
    kept = _summed.get(known)
    if kept is None or kept[0] != first:
        kept = (first, _sums(db, by, _minute(today(now)), first))
        _summed[known] = kept
    used = {key: list(tokens) for key, tokens in kept[1].items()}
    for key, tokens in _sums(db, by, first, _minute(now) + 1).items():
        used.setdefault(key, []).extend(tokens)
    return used


def _sums(db: Orm, by: str, first: int, end: int) -> dict[str, list[usage.Tokens]]:
    found: dict[str, list[usage.Tokens]] = {}
    for key, tokens in usage.ours(db, by, first, end) if first < end else ():
        found.setdefault(key, []).append(tokens)
    return found


def over(db: Orm, now: datetime) -> dict[int, str]:
    """Agents that used up their quota of today, with a sentence. What is unknown stops nobody."""
    limited = [agent for agent in agents.every(db) if agent.quota_unit and agent.quota_per_day]
    if not limited:
        return {}
    used = used_today(db, "agent", now)
    found = {}
    for agent in limited:
        amount = _amount(db, agent, used.get(str(agent.id), []))
        quota_of_day = agent.quota_per_day or 0.0
        if amount is not None and amount >= quota_of_day:
            said, whole = _said(agent.quota_unit, amount), _said(agent.quota_unit, quota_of_day)
            found[agent.id or 0] = (
                f"{agent.name} used {said} of its {whole} a day; it goes on at 00:00 UTC."
            )
    return found


def over_cap(db: Orm, now: datetime) -> dict[int, str]:
    """Accounts that spent their hard cap of today, with a sentence."""
    capped = [row for row in accounts.every(db) if row.daily_cap_usd is not None]
    if not capped:
        return {}
    used = used_today(db, "account", now)
    found = {}
    for account in capped:
        usd = prices.equivalent(used.get(str(account.id), [])).usd
        if usd is not None and usd >= (account.daily_cap_usd or 0.0):
            found[account.id or 0] = _capped(account, usd)
    return found


def enforce(ctx: Context) -> int:
    """Stop and park what is over; returns how many tasks were parked. Writes only where needed."""
    now = utc_now()
    with ctx.db.read() as db:
        if not _excess(db, now):
            return 0
    parked = 0
    with ctx.db.write() as db:
        for session, task, reason in _excess(db, now):
            parked += task.state in ("running", "queued")
            parking.park(db, session, task, midnight(now), reason)
    ctx.publish("tasks", "fleet", "accounts", "wake")
    return parked


def _excess(db: Orm, now: datetime) -> list[tuple[Session, Task, str]]:
    """Sessions that must not go on today, and are not stopped yet."""
    agents_over, accounts_over = over(db, now), over_cap(db, now)
    if not agents_over and not accounts_over:
        return []
    lives_on = {agent.id: agent.account_id for agent in agents.every(db)}
    found = []
    for session, task in balancing.going_on(db):
        has_runner = session.state in sessions.LIVE_STATES
        pays = session.account_id if has_runner else lives_on.get(session.agent_id)
        reason = accounts_over.get(pays or 0, "")
        if not reason and _is_resting(session):
            reason = agents_over.get(session.agent_id, "")
        runs_on = has_runner and not session.wants_stop
        if reason and (runs_on or task.state in ("running", "queued")):
            found.append((session, task, reason))
    return found


def _is_resting(session: Session) -> bool:
    """Between two turns, and what the last one made was looked at."""
    is_live = session.state in sessions.LIVE_STATES
    return not session.pending_outcome and (not is_live or session.activity in _RESTING)


def _amount(db: Orm, agent: Agent, used: list[usage.Tokens]) -> float | None:
    """In the unit of the agent's quota; None where it is not known."""
    if agent.quota_unit == "tokens":
        return float(sum(tokens.output for tokens in used))
    usd = prices.equivalent(used).usd
    if agent.quota_unit == "usd" or usd is None:
        return usd
    account = accounts.get(db, agent.account_id)
    if account is None:
        return None
    week = capacity.of_account(account, quota.of_account(db, agent.account_id)).usd
    return 100 * usd / week if week else None


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


def _said(unit: str, amount: float) -> str:
    if unit == "tokens":
        return f"{amount:,.0f} output tokens"
    return f"${amount:,.2f}" if unit == "usd" else f"{amount:.1f} % of its account's week"


def _capped(account: Account, usd: float) -> str:
    return (
        f"{account.name} spent ${usd:.2f} of its ${account.daily_cap_usd or 0:.2f} a day; "
        "it goes on at 00:00 UTC."
    )
