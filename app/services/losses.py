"""The arithmetic of the waterfall: what of an account's capacity was lost, to what, in a minute.

Each account stands for itself: what one spends beyond its pace makes up for none of another's gap.
All amounts are dollars at list price in one minute.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Who = Literal["vendor", "backlog", "you", "balancer", "work", "fleet"]
RUNGS = ("capacity", "provisioned", "demanded", "unblocked", "placed", "useful")
_DRY = "dry"
_NOTHING_USD = 1e-12  # a share of it says nothing, and would overflow


@dataclass(frozen=True)
class Cause:
    """Why capacity was lost: below which rung, who can fix it, in words after a name or count."""

    rung: str
    who: Who
    words: str


CAUSES = {
    "off": Cause("provisioned", "you", "Quarterdeck was not running"),
    "login": Cause("provisioned", "you", "{account} is logged out"),
    "closed": Cause("provisioned", "you", "{account} is closed by your rules"),
    "manual": Cause("provisioned", "you", "{account} is used by hand only"),
    "reserve": Cause("provisioned", "you", "kept back on {account} for yourself"),
    _DRY: Cause("provisioned", "vendor", "{account} has used up its budget"),
    "refused": Cause("provisioned", "vendor", "{account} was at its limit"),
    "backlog": Cause("demanded", "backlog", "agents without a task: the backlog was empty"),
    "waiting_human": Cause("unblocked", "you", "agents waited for your answer"),
    "error": Cause("unblocked", "you", "agents stood still after an error"),
    "unplaced": Cause("placed", "balancer", "agents stood idle while tasks waited"),
    "waiting_quota": Cause("placed", "balancer", "agents waited for one quota, others had room"),
    "waiting_slot": Cause("placed", "balancer", "agents waited for a slot"),
    "throttled": Cause("placed", "vendor", "{account} was throttled"),
    "fleet": Cause("placed", "fleet", "all at work, and too few to spend it: add agents"),
    "reread": Cause("useful", "work", "contexts were read again after moves and long waits"),
}


@dataclass
class Share:
    """One account in one minute. `why` is the cause that took it out of service, "" for none."""

    capacity: float
    reserve: float = 0.0  # part of the capacity
    why: str = ""
    spent: float = 0.0
    reread: float = 0.0  # part of what was spent
    is_partial: bool = False  # some of what was spent has no known price


@dataclass
class Look:
    """A minute as it was seen: the accounts whose capacity is known, and what agents were in."""

    shares: dict[int, Share]
    waits: dict[str, float] = field(default_factory=dict)  # cause to part of the agents' time
    quota: dict[int, float] = field(default_factory=dict)  # the same, in waits for one account
    unknown: list[int] = field(default_factory=list)  # accounts whose capacity nobody knows


@dataclass
class Tally:
    """One account over some minutes, as they were: these can be added up."""

    capacity: float = 0.0
    spent: float = 0.0
    reread: float = 0.0
    gaps: dict[str, float] = field(default_factory=dict)  # by cause; minutes above pace have none
    is_partial: bool = False

    def add(self, other: "Tally") -> None:
        self.capacity += other.capacity
        self.spent += other.spent
        self.reread += other.reread
        self.is_partial |= other.is_partial
        for cause, usd in other.gaps.items():
            self.gaps[cause] = self.gaps.get(cause, 0.0) + usd


@dataclass(frozen=True)
class Account:
    """One account over some minutes: what it held, what was used of it, what was lost to what."""

    capacity: float
    used: float
    lost: dict[str, float]


def minute_losses(look: Look, account_id: int) -> dict[str, float]:
    """What of the account's capacity was not spent in this minute, by cause."""
    share = look.shares[account_id]
    gap = max(0.0, share.capacity - share.spent)
    if share.why:
        return {share.why: gap}
    lost = {"reserve": min(gap, share.reserve)}
    rest = gap - lost["reserve"]
    for cause, part in look.waits.items():
        lost[cause] = rest * part
    for waited_for, part in look.quota.items():
        cause = "throttled" if waited_for == account_id else "waiting_quota"
        lost[cause] = lost.get(cause, 0.0) + rest * part
    return lost


def tally(looks: Iterable[Look]) -> dict[int, Tally]:
    """The accounts of these minutes, by id."""
    found: dict[int, Tally] = {}
    for look in looks:
        for account_id, share in look.shares.items():
            gaps = minute_losses(look, account_id)
            one = Tally(share.capacity, share.spent, share.reread, gaps, share.is_partial)
            found.setdefault(account_id, Tally()).add(one)
    return found


def account(counted: Tally) -> Account:
    """What became of an account's capacity: its losses and its use sum to it.

    What was spent above the even pace in some minutes makes up for other minutes: first for those
    after the account ran dry by it, then for all causes alike.
    """
    used = min(counted.spent, counted.capacity)
    lost = _scaled(counted.gaps, counted.capacity - used)
    if counted.spent > 0:
        lost["reread"] = min(1.0, counted.reread / counted.spent) * used
        used -= lost["reread"]
    return Account(counted.capacity, used, lost)


def _scaled(lost: Mapping[str, float], gap: float) -> dict[str, float]:
    """Losses that sum to the gap."""
    left = dict(lost)
    surplus = max(0.0, sum(left.values()) - gap)
    absorbed = min(surplus, left.get(_DRY, 0.0))
    if absorbed:
        left[_DRY] -= absorbed
    total = sum(left.values())
    if total <= _NOTHING_USD:
        return {"fleet": gap} if gap > 0 else {}
    return {cause: gap * (usd / total) for cause, usd in left.items() if usd > 0}


def rungs(accounts: Mapping[int, Account]) -> dict[str, float]:
    """The six rungs in dollars, from capacity down, each no higher than the one before."""
    level = sum(account.capacity for account in accounts.values())
    found = {RUNGS[0]: level}
    for rung in RUNGS[1:]:
        for account in accounts.values():
            level -= sum(usd for cause, usd in account.lost.items() if CAUSES[cause].rung == rung)
        found[rung] = level = max(0.0, level)
    return found


def encode(look: Look) -> dict[str, Any]:
    """For the row's `detail`: small, since there is one a minute."""
    shares = {
        str(account_id): [
            round(share.capacity, 6),
            round(share.reserve, 6),
            share.why,
            round(share.spent, 6),
            round(share.reread, 6),
            int(share.is_partial),
        ]
        for account_id, share in look.shares.items()
    }
    waits = {cause: round(part, 5) for cause, part in look.waits.items()}
    quota = {str(account_id): round(part, 5) for account_id, part in look.quota.items()}
    return {"shares": shares, "waits": waits, "quota": quota, "unknown": look.unknown}


def decode(detail: Mapping[str, Any]) -> Look:
    """What `encode` made."""
    shares = {
        int(account_id): Share(capacity, reserve, why, spent, reread, bool(is_partial))
        for account_id, (capacity, reserve, why, spent, reread, is_partial) in detail[
            "shares"
        ].items()
    }
    quota = {int(account_id): part for account_id, part in detail["quota"].items()}
    return Look(shares, dict(detail["waits"]), quota, list(detail["unknown"]))
