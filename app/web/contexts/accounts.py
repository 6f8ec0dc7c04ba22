"""The accounts: their rules and logins, windows as bars, what they spent, who uses them."""

import time
from dataclasses import dataclass

from app.models import Account, Task
from app.services import logins, prices
from app.services.account_rules import plan_of
from app.services.accounts import price_of
from app.services.context import Context
from app.services.prices import Equivalent
from app.store import usage
from app.store.usage import Tokens
from app.web.contexts.snapshot import Snapshot, capabilities, state_of
from app.web.contexts.windows import Bar, bars

_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class Spend:
    """Tokens of some time, and what they would cost at list price."""

    output: int
    total: int
    cost: Equivalent


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
    today: Spend  # since 00:00 UTC
    week: Spend  # the last seven days


def listing(ctx: Context, snap: Snapshot) -> list[Card]:
    """Every account in the human's order; two short queries besides the snapshot."""
    minute = int(time.time()) // 60
    with ctx.db.read() as db:
        today = usage.by_account(db, minute - minute % _DAY_MINUTES)
        week = usage.by_account(db, minute - 7 * _DAY_MINUTES)
    ranked = sorted(snap.accounts.values(), key=lambda row: (row.rank, row.name))
    return [
        _card(snap, account, today.get(account.id or 0, []), week.get(account.id or 0, []))
        for account in ranked
    ]


def _card(snap: Snapshot, account: Account, today: list[Tokens], week: list[Tokens]) -> Card:
    can = capabilities().get(account.driver)
    plan = plan_of(can, account.plan) if can and account.plan else None
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
        closed=_closed(snap, account, today),
        is_limited=account.limited_until is not None and account.limited_until > snap.now,
        today=_spend(today),
        week=_spend(week),
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


def _closed(snap: Snapshot, account: Account, today: list[Tokens]) -> str:
    """Of the house's rules only the cap and a missing directory: the login has its own words."""
    if account.login == "out" or account.driver not in capabilities():
        return ""
    return logins.closed(account, prices.equivalent(today).usd, snap.now)


def _spend(tokens: list[Tokens]) -> Spend:
    return Spend(
        output=sum(row.output for row in tokens),
        total=sum(row.total for row in tokens),
        cost=prices.equivalent(tokens),
    )
