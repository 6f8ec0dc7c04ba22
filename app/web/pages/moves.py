"""Moving an agent to another account: what it costs and saves is shown before it is done."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from app.services import moves as moves_service
from app.web import answers
from app.web.contexts import moves
from app.web.deps import Ctx

router = APIRouter()


@router.get("/agents/{name}/move")
def choices(request: Request, ctx: Ctx, name: str, to: str = "") -> Response:
    """Every account with the preview of a move to it; `to` is the one it was dragged to."""
    agent, home, ways = moves.choices(ctx, name, first=to)
    title = f"Move {agent.name}"
    return answers.sheet(
        request, "agents/_move.html", title, agent=agent, home=home, ways=ways, chosen=to
    )


@router.post("/agents/{name}/move")
def move(request: Request, ctx: Ctx, name: str, account: Annotated[str, Form()]) -> Response:
    done = moves_service.move_agent(ctx, agent=name, account=account, by="human")
    return answers.done(request, done.says, "accounts", "fleet")
