"""What needs the human: permissions, reviews, failures, advice, lost logins, dry accounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.models import Account, MergeRequest, Permission, Task
from app.services.context import Context
from app.web.contexts import balancer, reviews
from app.web.contexts.snapshot import Snapshot


@dataclass(frozen=True)
class Inbox:
    asks: list["Ask"]
    reviews: list["ToReview"]
    failed: list[Task]
    advice: list["Advice"]
    logged_out: list["Parked"]
    parked: list["Parked"]

    @property
    def count(self) -> int:
        waiting = len(self.asks) + len(self.reviews) + len(self.failed) + len(self.advice)
        return waiting + len(self.logged_out) + len(self.parked)


@dataclass(frozen=True)
class Ask:
    permission: Permission
    agent: str


@dataclass(frozen=True)
class ToReview:
    request: MergeRequest
    agent: str
    check: str
    hindrance: str  # why it can't be approved from here, in a few words; "" where it can


@dataclass(frozen=True)
class Advice:
    """Something the balancer would do."""

    id: int
    at: datetime
    sentence: str


@dataclass(frozen=True)
class Parked:
    account: Account
    agents: list[str]


def listing(ctx: Context, snap: Snapshot) -> Inbox:
    """Permissions oldest first, then reviews with what each asks for, then what went wrong."""
    return _inbox(snap, reviews.hindrances(ctx, snap, snap.to_review))


def count(snap: Snapshot) -> int:
    """How much it lists."""
    return _inbox(snap, {}).count


def failed(snap: Snapshot) -> list[Task]:
    return [task for task in snap.tasks.values() if task.state == "failed"]


def _inbox(snap: Snapshot, hindrances: Mapping[int, str]) -> Inbox:
    names = {row.id: snap.agent_name(row.agent_id) for row in snap.sessions.values()}
    return Inbox(
        asks=[Ask(ask, names.get(ask.session_id, "")) for ask in snap.permissions],
        reviews=[
            _to_review(snap, request, hindrances.get(request.id or 0, ""))
            for request in snap.to_review
        ],
        failed=failed(snap),
        advice=[Advice(row.id or 0, row.at, balancer.sentence(snap, row)) for row in snap.advised],
        logged_out=[_parked(snap, row) for row in snap.accounts.values() if row.login == "out"],
        parked=[_parked(snap, account) for account in _limited(snap)],
    )


def _to_review(snap: Snapshot, request: MergeRequest, hindrance: str) -> ToReview:
    check = snap.checks.get(request.id or 0)
    agent = snap.agent_name(request.agent_id)
    return ToReview(request, agent, check.state if check else "", hindrance)


def _limited(snap: Snapshot) -> list[Account]:
    return [
        account
        for account in snap.accounts.values()
        if account.limited_until is not None and account.limited_until > snap.now
    ]


def _parked(snap: Snapshot, account: Account) -> Parked:
    return Parked(account, [row.name for row in snap.agents if row.account_id == account.id])
