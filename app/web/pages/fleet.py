"""Fleet and Inbox: everybody at a glance, and what waits for the human."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from app.errors import NotFound
from app.services import sessions as sessions_service
from app.store import sessions
from app.web import answers
from app.web.contexts import fleet, inbox, snapshot
from app.web.deps import Ctx
from app.web.render import page

router = APIRouter()
_SAID = {"allow": "Allowed.", "allow_always": "Allowed from now on.", "deny": "Denied."}


@router.get("/")
def index(request: Request, ctx: Ctx) -> Response:
    snap = snapshot.take(ctx)
    return page(
        request,
        "fleet/index.html",
        live="fleet,inbox",
        snap=snap,
        budgets=fleet.budgets(snap),
        tiles=fleet.tiles(snap),
        inbox=inbox.listing(ctx, snap),
        repositories=snap.repositories,
    )


@router.get("/inbox")
def waiting(request: Request, ctx: Ctx) -> Response:
    snap = snapshot.take(ctx)
    shown = inbox.listing(ctx, snap)
    return page(request, "inbox/index.html", live="inbox", snap=snap, inbox=shown)


@router.post("/permissions/{permission_id}")
def answer(
    request: Request, ctx: Ctx, permission_id: int, decision: Annotated[str, Form()]
) -> Response:
    sessions_service.answer(ctx, permission_id=permission_id, decision=decision)
    return answers.done(request, _SAID[decision], "inbox", "fleet")


@router.post("/sessions/{session_id}/answer")
def answer_in_log(
    request: Request,
    ctx: Ctx,
    session_id: str,
    request_id: Annotated[str, Form()],
    decision: Annotated[str, Form()],
) -> Response:
    """The buttons inside a log know the vendor's id only."""
    with ctx.db.read() as db:
        asked = [
            permission
            for permission in sessions.open_permissions(db, session_id)
            if permission.request_id == request_id
        ]
    if not asked:
        raise NotFound("This question is settled already, or its turn is over.")
    return answer(request, ctx, asked[0].id or 0, decision)
