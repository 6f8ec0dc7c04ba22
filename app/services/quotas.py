"""Quotas of agents and daily caps of accounts: who has had enough until 00:00 UTC.

An agent over its quota finishes its turn, then its task parks; it is given no work. An account over
its cap is stopped at once: a cap is money.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import Account, Agent, Session, Task
from app.models.base import day_start, utc_now
from app.services import capacity, logins, parking, prices, usage
from app.services.context import Context
from app.store import accounts, agents, quota, sessions
from app.store.usage import Tokens

_RESTING = ("idle", "error", "waiting_slot")


def midnight(now: datetime) -> datetime:
    """The next 00:00 UTC."""
    return day_start(now) + timedelta(days=1)


def over(db: Orm, now: datetime) -> dict[int, str]:
    """Agents that used up their quota of today, with a sentence. What is unknown stops nobody."""
    limited = [agent for agent in agents.every(db) if agent.quota_unit and agent.quota_per_day]
    if not limited:
        return {}
    used, weeks = usage.today(db, "agent", now), _weeks(db, limited)
    found = {}
    for agent in limited:
        week = weeks.get(agent.account_id)
        amount = _amount(agent.quota_unit, used.get(agent.id or 0, []), week)
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
    spent = usage.spent_today(db, now) if capped else {}
    told = {row.id or 0: logins.cap_reached(row, spent.get(row.id or 0), now) for row in capped}
    return {account_id: reason for account_id, reason in told.items() if reason}


def closed(db: Orm, rows: Iterable[Account], now: datetime) -> dict[int, str]:
    """Why the house gives these accounts no work, by id; "" where it is open."""
    known = {row.id or 0: row for row in rows}
    is_capped = any(row.daily_cap_usd is not None for row in known.values())
    spent = usage.spent_today(db, now) if is_capped else {}
    return {key: logins.closed(row, spent.get(key), now) for key, row in known.items()}


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
    for session, task in sessions.going_on(db):
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


def _weeks(db: Orm, limited: list[Agent]) -> dict[int, float | None]:
    """Dollars that a week of each account holds, where an agent's quota is a part of it."""
    if all(agent.quota_unit != "percent" for agent in limited):
        return {}
    told = quota.by_account(db)
    return {
        row.id or 0: capacity.of_account(row, told.get(row.id or 0, [])).usd
        for row in accounts.every(db)
    }


def _amount(unit: str, used: list[Tokens], week_usd: float | None) -> float | None:
    """What was used, in the unit of a quota; None where it is not known."""
    if unit == "tokens":
        return float(sum(tokens.output for tokens in used))
    usd = prices.equivalent(used).usd
    if unit == "usd" or usd is None:
        return usd
    return 100 * usd / week_usd if week_usd else None


def _said(unit: str, amount: float) -> str:
    if unit == "tokens":
        return f"{amount:,.0f} output tokens"
    return f"${amount:,.2f}" if unit == "usd" else f"{amount:.1f} % of its account's week"
