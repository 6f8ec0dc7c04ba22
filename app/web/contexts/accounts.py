"""The accounts: their rules and logins, windows as bars, what they spent, who uses them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import Account, Task
from app.models.base import day_start
from app.services import logins, quotas, usage
from app.services.accounts import price_of
from app.services.context import Context
from app.services.usage import Spent
from app.web.contexts.snapshot import Snapshot, capabilities, state_of
from app.web.contexts.windows import Bar, bars


@dataclass(frozen=True)
class Seat:
    """An agent that spends the account."""

    name: str
    state: str


@dataclass(frozen=True)
class Card:
    account: Account
    plan: str  # its label; "" = not known
    price: float | None  # dollars a month
    seats: list[Seat]
    bars: list[Bar]
    has_meter: bool  # its driver can report windows
    has_login: bool  # a human logs in to it, in the vendor's own program
    login_command: str  # what to type for that; "" where it is logged in
    closed: str  # why the house gives it no work, where its login does not say that already
    is_limited: bool
    today: Spent | None  # since 00:00 UTC, outside use too; None: nothing
    week: Spent | None  # the last seven days


def listing(ctx: Context, snap: Snapshot) -> list[Card]:
    """Every account in the human's order; a few short queries besides the snapshot."""
    now = snap.now
    ranked = sorted(snap.accounts.values(), key=lambda row: (row.rank, row.name))
    known = [account for account in ranked if account.driver in capabilities()]
    with ctx.db.read() as db:
        today = _spent(db, day_start(now), now)
        week = _spent(db, now - timedelta(days=7), now)
        closed = quotas.closed(db, known, now)
    return [
        _card(
            snap,
            account,
            closed.get(account.id or 0, ""),
            today.get(str(account.id)),
            week.get(str(account.id)),
        )
        for account in ranked
    ]


def _spent(db: Orm, since: datetime, now: datetime) -> dict[str, Spent]:
    until = now + timedelta(minutes=1)  # the minute that runs
    return {row.key: row for row in usage.spent(db, by="account", since=since, until=until)}


def _card(
    snap: Snapshot, account: Account, closed: str, today: Spent | None, week: Spent | None
) -> Card:
    can = capabilities().get(account.driver)
    plan = logins.plan_of(account) if can else None
    is_in = account.login == "in"
    return Card(
        account=account,
        plan=plan.label if plan else account.plan,
        price=price_of(account) if can else account.price_usd_month,
        seats=_seats(snap, account),
        bars=bars(account, snap.windows.get(account.id or 0, [])),
        has_meter=can is not None and can.quota,
        has_login=can is not None and logins.has_own_login(account),
        login_command=logins.login_command(account) if can and not is_in else "",
        closed="" if account.login == "out" else closed,  # the login has its own words
        is_limited=account.limited_until is not None and account.limited_until > snap.now,
        today=today,
        week=week,
    )


def _seats(snap: Snapshot, account: Account) -> list[Seat]:
    return [
        Seat(agent.name, state_of(agent, session, _task(snap, session.task_id if session else 0)))
        for agent in snap.agents
        if agent.account_id == account.id
        for session in [snap.sessions.get(agent.id or 0)]
    ]


def _task(snap: Snapshot, task_id: int) -> Task | None:
    return snap.tasks.get(task_id)
