"""Sessions, their logs and the permissions they ask for, over JSON."""

import msgspec
from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from agents.events import Record
from app.api.deps import Ctx, LiveBus, session_views
from app.api.errors import RESPONSES, ApiRoute
from app.api.review_schemas import DiffView
from app.api.schemas import (
    Answer,
    LogPage,
    MessageGiven,
    MessageView,
    PermissionView,
    SessionView,
)
from app.errors import NotFound
from app.services import diffs
from app.services import sessions as services
from app.store import agents, sessions

router = APIRouter(route_class=ApiRoute, responses=RESPONSES)
_encoder = msgspec.json.Encoder()


@router.get("/sessions", tags=["sessions"], summary="Sessions, newest first")
def list_sessions(
    ctx: Ctx, agent: str | None = None, task_id: int | None = None, limit: int = 20
) -> list[SessionView]:
    with ctx.db.read() as db:
        if agent is not None:
            found = agents.by_name(db, agent)
            if found is None:
                raise NotFound(f"There is no agent {agent!r}; `quarterdeck agent list` shows them.")
            rows = sessions.of_agent(db, found.id or 0, max(1, min(limit, 1000)))
        elif task_id is not None:
            rows = sessions.of_task(db, task_id)
        else:
            rows = sessions.every(db)[::-1]
        return session_views(db, rows[: max(1, limit)])


@router.get("/sessions/{session_id}", tags=["sessions"], summary="One session")
def show_session(ctx: Ctx, session_id: str) -> SessionView:
    with ctx.db.read() as db:
        return session_views(db, [services.existing(db, session_id)])[0]


@router.get(
    "/sessions/{session_id}/log",
    tags=["sessions"],
    summary="A page of the log",
    response_model=LogPage,
)
async def read_log(
    ctx: Ctx,
    live: LiveBus,
    session_id: str,
    after: int | None = Query(None, ge=0, description="Records that follow this number."),
    before: int | None = Query(None, ge=1, description="Records that precede this number."),
    count: int = Query(200, ge=1, le=5000),
    wait_seconds: float = Query(0, ge=0, le=20, description="With `after`: wait for a record."),
) -> Response:
    """Without `after` and `before`: the last `count` records."""

    def page() -> list[Record]:
        if after is not None:
            return services.log_after(ctx, session_id=session_id, seq=after, count=count)
        return services.log_before(ctx, session_id=session_id, seq=before, count=count)

    with live.listen([f"session:{session_id}"]) as changed:
        records = await run_in_threadpool(page)
        if not records and after is not None and wait_seconds:
            await changed.changes(wait_seconds)
            records = await run_in_threadpool(page)
    # Already JSON in the journal's own shape: no second validation of thousands of records.
    return Response(_encoder.encode({"records": records}), media_type="application/json")


@router.get("/sessions/{session_id}/diff", tags=["sessions"], summary="What it changed so far")
def show_session_diff(ctx: Ctx, session_id: str) -> DiffView:
    """Uncommitted work included."""
    diff = diffs.session_diff(ctx, session_id=session_id)
    if diff is None:
        raise NotFound("There is no diff of this session yet; it is made when its files change.")
    return DiffView.model_validate(diff)


@router.post("/sessions/{session_id}/messages", tags=["sessions"], summary="Say something to it")
def say(ctx: Ctx, session_id: str, given: MessageGiven) -> MessageView:
    """Stored first and delivered once; a stopped session is resumed for it."""
    message = services.say(ctx, session_id=session_id, text=given.text, message_id=given.message_id)
    return MessageView.model_validate(message)


@router.post(
    "/sessions/{session_id}/interrupt",
    tags=["sessions"],
    summary="Stop the running turn",
    status_code=204,
)
def interrupt(ctx: Ctx, session_id: str) -> None:
    services.interrupt(ctx, session_id=session_id)


@router.get(
    "/sessions/{session_id}/permissions",
    tags=["permissions"],
    summary="What this session waits for",
)
def list_session_permissions(ctx: Ctx, session_id: str) -> list[PermissionView]:
    with ctx.db.read() as db:
        services.existing(db, session_id)
        rows = sessions.open_permissions(db, session_id)
        return [PermissionView.model_validate(row) for row in rows]


@router.get("/permissions", tags=["permissions"], summary="All that wait for the human")
def list_permissions(ctx: Ctx) -> list[PermissionView]:
    with ctx.db.read() as db:
        return [PermissionView.model_validate(row) for row in sessions.open_permissions(db)]


@router.post(
    "/permissions/{permission_id}/answer", tags=["permissions"], summary="Allow or deny, once"
)
def answer(ctx: Ctx, permission_id: int, given: Answer) -> PermissionView:
    row = services.answer(
        ctx, permission_id=permission_id, decision=given.decision, message=given.message
    )
    return PermissionView.model_validate(row)
