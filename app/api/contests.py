"""Contests over JSON: one task to several agents or models, side by side, pick one."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import Given, TaskTerms, View
from app.services import contest_look
from app.services import contests as services
from app.services.context import Context
from app.services.terms import Terms

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["contests"])


class ContenderView(View):
    """One of the competing tasks, with the merge request that it became."""

    task_id: int
    agent: str | None = Field(description="Who has it, or is to have it; null: nobody yet.")
    model: str
    state: str = Field(description="Of its merge request where it has one, else of its task.")
    state_reason: str
    merge_request_id: int | None
    head_sha: str = Field(description="A pick names this commit.")
    additions: int
    deletions: int
    files: int
    round: int
    care: str
    check: str
    conflicts: list[dict[str, Any]]
    cost_usd: float | None = Field(description="At list price so far; null: unknown.")
    output_tokens: int
    seconds: float | None = Field(description="From its start to its offer, or to now.")
    is_winner: bool


class ContestView(View):
    id: int
    repository: str
    title: str
    prompt: str
    state: str = Field(description="`open`, `decided` or `cancelled`.")
    reason: str
    winner_id: int | None = Field(description="The merge request that was picked.")
    contenders: list[ContenderView]
    created_at: datetime
    decided_at: datetime | None


class ContestGiven(TaskTerms):
    title: str = ""
    prompt: str = ""
    repository: str | None = Field(None, description="A slug; left out where there is only one.")
    base_branch: str | None = None
    agents: list[str] = Field([], description="Each of them does it, 2 to 8.")
    models: list[str] = Field([], description="Or: an agent of each of these models does it.")
    draft: bool = Field(False, description="Keep the tasks back until they are started.")


class Pick(Given):
    merge_request_id: int
    head_sha: str
    force: bool = Field(False, description="Although its check did not pass.")


@router.get("/contests", summary="Open contests, then the newest")
def list_contests(ctx: Ctx) -> list[ContestView]:
    return [_view(side) for side in contest_look.listing(ctx)]


@router.post("/contests", summary="Give one task to several agents or models", status_code=201)
def start(ctx: Ctx, given: ContestGiven) -> ContestView:
    fields = given.model_dump()
    terms = {name: fields.pop(name) for name in TaskTerms.model_fields if name != "models"}
    return _one(ctx, services.start(ctx, **fields, terms=Terms(**terms)).id)


@router.get("/contests/{contest_id}", summary="One contest")
def show(ctx: Ctx, contest_id: int) -> ContestView:
    return _one(ctx, contest_id)


@router.post("/contests/{contest_id}/pick", summary="Approve one; the others are archived")
def pick(ctx: Ctx, contest_id: int, given: Pick) -> ContestView:
    services.pick(ctx, contest_id=contest_id, **given.model_dump())
    return _one(ctx, contest_id)


@router.post("/contests/{contest_id}/undo", summary="Take the pick back, before it lands")
def undo(ctx: Ctx, contest_id: int) -> ContestView:
    services.reopen(ctx, contest_id=contest_id)
    return _one(ctx, contest_id)


@router.post("/contests/{contest_id}/cancel", summary="Give it up; what was made is kept")
def cancel(ctx: Ctx, contest_id: int) -> ContestView:
    services.cancel(ctx, contest_id=contest_id)
    return _one(ctx, contest_id)


def _one(ctx: Context, contest_id: int | None) -> ContestView:
    return _view(contest_look.one(ctx, contest_id or 0, with_files=False))


def _view(side: contest_look.Side) -> ContestView:
    given = side.contest.model_dump()
    entered = [_contender(each) for each in side.contenders]
    return ContestView(**given, repository=side.repository, contenders=entered)


def _contender(each: contest_look.Contender) -> ContenderView:
    request = each.request
    return ContenderView(
        task_id=each.task.id or 0,
        agent=each.agent or None,
        model=each.model,
        state=each.state,
        state_reason=(request or each.task).state_reason,
        merge_request_id=request.id if request else None,
        head_sha=request.head_sha if request else "",
        additions=request.additions if request else 0,
        deletions=request.deletions if request else 0,
        files=request.files if request else 0,
        round=request.round if request else 0,
        care=request.care if request else "",
        check=each.check.state if each.check else "",
        conflicts=request.conflicts if request else [],
        cost_usd=each.cost.usd,
        output_tokens=each.output_tokens,
        seconds=each.seconds,
        is_winner=each.is_winner,
    )
