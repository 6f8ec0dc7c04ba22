"""The balancer over JSON: its mode, what it decided with which numbers, and the human's word."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import Field
from sqlmodel import Session as Orm

from app.api.deps import Ctx, agent_names
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import Given, View
from app.models import BalancerDecision
from app.models.base import utc_now
from app.services import balancer
from app.services.context import Context
from app.store import accounts

router = APIRouter(route_class=ApiRoute, responses=RESPONSES)


class WeighedView(View):
    """One account on the scales."""

    account_id: int
    account: str
    pressure_per_hour: float = Field(description="Part of the budget that must go each hour.")
    budget_left_dollars: float
    throttle_left_dollars: float
    running: int
    refusal: str = Field(description="Why not; empty: it would do.")


class BalancerDecisionView(View):
    id: int
    at: datetime
    mode: str = Field(description="The mode it was made in; `human`: by hand.")
    action: str = Field(description="`start`, `move`, `park`, `hold` or `stay`.")
    state: str = Field(description="`advised`, `applied`, `undone`, `dismissed` or `expired`.")
    task_id: int | None
    agent: str | None
    session_id: str
    from_account: str | None
    to_account: str | None
    reason: str
    until_at: datetime | None = Field(description="When the quota that was used up returns.")
    costs_usd: float | None = Field(description="Of the move, at list price; null: not known.")
    saves_hours: float | None
    weighed: list[WeighedView]
    settled_at: datetime | None = Field(description="Null: it waits, for you or a turn's end.")


class BalancerView(View):
    mode: str
    is_dry: bool = Field(description="No account takes work now.")
    returns_at: datetime | None = Field(description="When the first used-up account returns.")
    decisions: list[BalancerDecisionView] = Field(description="What waits for you, then the rest.")


class BalancerChange(Given):
    mode: Literal["off", "advise", "auto_new", "auto_all"]


@router.get("/balancer", tags=["balancer"], summary="Its mode and its newest decisions")
def show_balancer(ctx: Ctx, limit: int = 50) -> BalancerView:
    with ctx.db.read() as db:
        drought = balancer.drought(db, utc_now())
        rows = balancer.decisions(db, max(1, min(limit, 500)))
        return BalancerView(
            mode=balancer.mode(db),
            is_dry=drought.is_dry,
            returns_at=drought.returns_at,
            decisions=_views(db, rows),
        )


@router.put("/balancer", tags=["balancer"], summary="Switch its mode")
def set_balancer(ctx: Ctx, change: BalancerChange) -> BalancerView:
    """`off`, `advise` (you click), `auto_new` (new work only) or `auto_all` (live work too)."""
    balancer.set_mode(ctx, change.mode)
    return show_balancer(ctx)


@router.post(
    "/balancer/decisions/{decision_id}/apply", tags=["balancer"], summary="Do what it advises"
)
def apply_decision(ctx: Ctx, decision_id: int) -> BalancerDecisionView:
    return _one(ctx, balancer.apply(ctx, decision_id))


@router.post("/balancer/decisions/{decision_id}/dismiss", tags=["balancer"], summary="Say no to it")
def dismiss_decision(ctx: Ctx, decision_id: int) -> BalancerDecisionView:
    return _one(ctx, balancer.dismiss(ctx, decision_id))


@router.post("/balancer/decisions/{decision_id}/undo", tags=["balancer"], summary="Take it back")
def undo_decision(ctx: Ctx, decision_id: int) -> BalancerDecisionView:
    return _one(ctx, balancer.undo(ctx, decision_id))


def _one(ctx: Context, row: BalancerDecision) -> BalancerDecisionView:
    with ctx.db.read() as db:
        return _views(db, [row])[0]


def _views(db: Orm, rows: list[BalancerDecision]) -> list[BalancerDecisionView]:
    agents = agent_names(db)
    names = {account.id: account.name for account in accounts.every(db)}
    return [
        BalancerDecisionView.model_validate(
            {
                **row.model_dump(),
                "agent": agents.get(row.agent_id),
                "from_account": names.get(row.from_account_id),
                "to_account": names.get(row.to_account_id),
            }
        )
        for row in rows
    ]
