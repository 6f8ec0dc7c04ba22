"""Moving agents and tasks between accounts over JSON; what it costs is asked before."""

from fastapi import APIRouter
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import Given, View
from app.services import moves

router = APIRouter(route_class=ApiRoute, responses=RESPONSES)


class MovePreviewView(View):
    agent: str
    from_account: str
    to_account: str
    way: str = Field(
        description="`idle`: nothing is under way; `carry`: its conversation goes along; "
        "`handover`: a new conversation goes on with a note of what was done."
    )
    costs_usd: float | None = Field(
        description="At list price, more than staying costs; null: not known."
    )
    saves_hours: float | None = Field(description="Of standing still.")
    is_warm: bool = Field(description="A prompt cache is there that would have to be paid again.")
    context_tokens: int | None = Field(description="Of the last model call; null: not known.")
    refusal: str = Field(description="Why it can't be done; empty where it can.")
    says: str = Field(description="All of it in one sentence.")
    is_in_turn: bool = Field(description="It would wait for the turn to end.")
    task_id: int | None
    session_id: str


class MoveGiven(Given):
    account: str
    now: bool = Field(False, description="Interrupt the running turn instead of waiting for it.")


class AccountWanted(Given):
    account: str


class MoveView(View):
    agent: str
    from_account: str
    to_account: str
    is_done: bool = Field(description="False: it waits for the turn to end.")
    decision_id: int = Field(description="Its row among the balancer's decisions.")
    says: str


class TaskMoved(View):
    move: MoveView | None = Field(description="Its agent's; null where no agent has begun it.")
    says: str


@router.get("/agents/{name}/move-preview", tags=["moves"], summary="What a move costs and saves")
def preview(ctx: Ctx, name: str, account: str) -> MovePreviewView:
    return MovePreviewView.model_validate(moves.preview(ctx, agent=name, account=account))


@router.post("/agents/{name}/move", tags=["moves"], summary="Move an agent to another account")
def move(ctx: Ctx, name: str, given: MoveGiven) -> MoveView:
    """At once, or when its turn ends; to the account it is on, a waiting move is called off."""
    done = moves.move_agent(ctx, agent=name, account=given.account, now=given.now)
    return MoveView.model_validate(done)


@router.delete("/agents/{name}/move", tags=["moves"], summary="Call a waiting move off")
def call_off(ctx: Ctx, name: str) -> MoveView:
    return MoveView.model_validate(moves.call_off(ctx, agent=name))


@router.post("/tasks/{task_id}/account", tags=["moves"], summary="Move a task to an account")
def move_task(ctx: Ctx, task_id: int, given: AccountWanted) -> TaskMoved:
    """Begun work moves with its agent; what nobody has begun waits for an agent there."""
    done = moves.move_task(ctx, task_id=task_id, account=given.account)
    said = done.says if done else f"Task {task_id} waits for an agent on {given.account}."
    return TaskMoved(move=MoveView.model_validate(done) if done else None, says=said)
