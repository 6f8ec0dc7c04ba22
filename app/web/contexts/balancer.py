# ruff: noqa: RUF001 (the human reads these sentences)
"""The balancer's panel: its mode in plain words, its decisions as sentences with their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.models import BalancerDecision
from app.services import balancer
from app.services.context import Context
from app.web import format as fmt
from app.web.contexts.snapshot import Snapshot

SHOWN = 30
_GREY = (
    "Vendors’ terms assume ordinary use by one person. Placing your own work among your own logins "
    "is common, and neither blessed nor named in them; accounts may be limited without notice."
)
NOTICE = (
    "Whatever the mode: the vendors’ own programs run unmodified, a refusal is waited out, nothing "
    "is bought, and an account marked “by hand only” is never touched."
)
_STATES = {
    "advised": "advice",
    "undone": "undone",
    "dismissed": "dismissed",
    "expired": "its moment is over",
}


@dataclass(frozen=True)
class Mode:
    name: str
    label: str
    says: str
    warning: str = ""  # asked before it is switched on


MODES = (
    Mode("off", "Off", "Work stays where you put it. Nothing is weighed."),
    Mode("advise", "Advise", "Says what it would do, with its numbers. You click, or you don’t."),
    Mode(
        "auto_new",
        "Auto, new work",
        "Places each new task where quota would expire. Work under way stays where it is.",
        f"Place new work by itself? {_GREY} Stay near while it runs.",
    ),
    Mode(
        "auto_all",
        "Auto, all",
        "Also moves work between your accounts as its turn ends, to dodge a limit.",
        f"Move work by itself, also while you are away? {_GREY} Rotating accounts around limits "
        "is what vendors like least: use it while you are on duty, and mark accounts that must "
        "not be touched “by hand only”.",
    ),
)


@dataclass(frozen=True)
class Scale:
    """One account on the scales. None is unknown."""

    account: str
    pressure: float | None  # part of the budget an hour
    budget: float | None  # dollars
    throttle: float | None  # dollars
    running: int
    refusal: str
    is_chosen: bool


@dataclass(frozen=True)
class Row:
    id: int
    at: datetime
    state: str
    sentence: str
    scales: list[Scale]
    can_undo: bool

    @property
    def is_past(self) -> bool:
        """Nothing came of it."""
        return self.state in ("undone", "dismissed", "expired")


@dataclass(frozen=True)
class Panel:
    mode: str
    modes: tuple[Mode, ...]
    notice: str
    rows: list[Row]


def panel(ctx: Context, snap: Snapshot) -> Panel:
    """The mode, and what waits for a click before what is newest."""
    with ctx.db.read() as db:
        mode = balancer.mode(db)
        found = balancer.decisions(db, SHOWN)
    return Panel(mode, MODES, NOTICE, [_row(snap, decision) for decision in found])


def _row(snap: Snapshot, decision: BalancerDecision) -> Row:
    is_move = decision.action in ("start", "move")
    agent = snap.agent(decision.agent_id)
    is_there = agent is not None and agent.account_id == decision.to_account_id
    went = decision.from_account_id not in (None, decision.to_account_id)
    waits = decision.action == "move" and decision.settled_at is None
    return Row(
        id=decision.id or 0,
        at=decision.at,
        state=decision.state,
        sentence=sentence(snap, decision),
        scales=[_scale(snap, one, decision.to_account_id) for one in decision.weighed],
        can_undo=decision.state == "applied" and is_move and went and (is_there or waits),
    )


def sentence(snap: Snapshot, decision: BalancerDecision) -> str:
    """Who goes where, why, what it costs and saves, and what came of it."""
    who = snap.agent_name(decision.agent_id)
    said = [f"{who}: {decision.reason}" if who else decision.reason]
    gains = []
    if decision.costs_usd is not None:
        gains.append(f"costs {fmt.usd(decision.costs_usd)}")
    if decision.saves_hours:
        gains.append(f"saves {decision.saves_hours:.1f} h")
    if gains:
        text = ", ".join(gains)
        said.append(f"{text[0].upper()}{text[1:]}.")
    if decision.mode == "human":
        said.append("By hand.")
    if decision.state in _STATES:
        said.append(f"({_STATES[decision.state]})")
    return " ".join(said)


def _scale(snap: Snapshot, told: Mapping[str, Any], chosen: int | None) -> Scale:
    """Rows of any age are shown: what they lack is unknown."""
    account_id = int(told.get("account_id") or 0)
    account = snap.accounts.get(account_id)
    return Scale(
        account=account.name if account else str(told.get("account") or "an account that is gone"),
        pressure=told.get("pressure_per_hour"),
        budget=told.get("budget_left_dollars"),
        throttle=told.get("throttle_left_dollars"),
        running=int(told.get("running") or 0),
        refusal=str(told.get("refusal") or ""),
        is_chosen=account_id == chosen,
    )
