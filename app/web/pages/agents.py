"""Agents: the list, and one agent with its log, its changes and what can be said to it."""

from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from agents.events import Record
from app.services import agents as agents_service
from app.services import radar
from app.services import sessions as sessions_service
from app.services.context import Context
from app.web import answers, logview
from app.web.contexts import agents, fleet, snapshot
from app.web.deps import Ctx
from app.web.forms import number
from app.web.render import page

router = APIRouter()
FIRST_RECORDS = 300  # of a log, with its page
PAGE_RECORDS = 500  # of a log, with each scroll


@router.get("/agents")
def index(request: Request, ctx: Ctx) -> Response:
    snap = snapshot.take(ctx)
    return page(
        request,
        "agents/index.html",
        snap=snap,
        tiles=fleet.tiles(snap),
        rows={agent.name: agent for agent in snap.agents},
        accounts=list(snap.accounts.values()),
    )


@router.post("/agents")
def add(
    ctx: Ctx,
    name: Annotated[str, Form()],
    driver: Annotated[str, Form()],
    account: Annotated[str, Form()] = "",
    model: Annotated[str, Form()] = "",
    permissions: Annotated[str, Form()] = "ask",
    instructions: Annotated[str, Form()] = "",
) -> Response:
    agents_service.add_agent(
        ctx,
        name=name.strip(),
        driver=driver,
        account=account or None,
        model=model.strip(),
        permissions=permissions,
        instructions=instructions.strip(),
    )
    return answers.go("/agents")


@router.post("/agents/{name}/enable")
def enable(ctx: Ctx, name: str) -> Response:
    agents_service.set_agent(ctx, name=name, is_enabled=True)
    return answers.go("/agents")


@router.post("/agents/{name}/disable")
def disable(ctx: Ctx, name: str) -> Response:
    agents_service.set_agent(ctx, name=name, is_enabled=False)
    return answers.go("/agents")


@router.get("/agents/{name}")
def show(
    request: Request,
    ctx: Ctx,
    name: str,
    session: str | None = None,
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    view = agents.full(ctx, name, session)
    records = _records(ctx, view, before)
    session_id = view.session.id if view.session else ""
    return page(
        request,
        "agents/show.html",
        live=f"agent:{name}:{session_id}" if session_id else f"agent:{name}",
        view=view,
        chunks=logview.sections(records),
        session_id=session_id,
        older_seq=records[0].seq if records and records[0].seq > 1 else None,
        live_log=before is None,
    )


@router.get("/agents/{name}/log")
def log(
    ctx: Ctx,
    name: str,
    session: str,
    before: Annotated[int | None, Query(ge=1)] = None,
    after: Annotated[int | None, Query(ge=0)] = None,
) -> HTMLResponse:
    """Chunks of a log before or after a sequence number (neither: its end), for scrolling."""
    agents.head(ctx, name, session)
    if after is not None:
        records = sessions_service.log_after(ctx, session_id=session, seq=after, count=PAGE_RECORDS)
    else:
        records = sessions_service.log_before(
            ctx, session_id=session, seq=before, count=PAGE_RECORDS
        )
    return HTMLResponse(logview.chunks(records, session))


@router.get("/agents/{name}/quota")
def quota(request: Request, ctx: Ctx, name: str) -> Response:
    agent = agents.head(ctx, name).agent
    return answers.sheet(request, "agents/_quota.html", f"Quota of {agent.name}", agent=agent)


@router.post("/agents/{name}/quota")
def set_quota(
    request: Request,
    ctx: Ctx,
    name: str,
    unit: Annotated[str, Form()] = "",
    amount: Annotated[str, Form()] = "",
    stays: Annotated[str, Form()] = "",
) -> Response:
    """No amount lifts the quota."""
    given = number("The quota", amount)
    changed = agents_service.set_agent(
        ctx,
        name=name,
        quota_unit=unit if given is not None else "",
        quota_per_day=given,
        is_movable=not stays,
    )
    words = agents.quota_words(changed)
    said = f"{name} may use {words}." if words else f"{name} has no quota."
    return answers.done(request, said, f"agent:{name}")


@router.post("/sessions/{session_id}/say")
def say(request: Request, ctx: Ctx, session_id: str, text: Annotated[str, Form()]) -> Response:
    sessions_service.say(ctx, session_id=session_id, text=text)
    return answers.done(request, "Said.")


@router.post("/sessions/{session_id}/tell")
def tell(request: Request, ctx: Ctx, session_id: str) -> Response:
    radar.tell(ctx, session_id)
    return answers.done(request, "Told what its work collides with.")


@router.post("/sessions/{session_id}/interrupt")
def interrupt(request: Request, ctx: Ctx, session_id: str) -> Response:
    sessions_service.interrupt(ctx, session_id=session_id)
    return answers.done(request, "Interrupted; the session stays usable.")


def _records(ctx: Context, view: agents.AgentView, before: int | None) -> list[Record]:
    if view.session is None:
        return []
    return sessions_service.log_before(
        ctx, session_id=view.session.id, seq=before, count=FIRST_RECORDS
    )
