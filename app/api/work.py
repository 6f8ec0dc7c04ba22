"""Repositories, agents and tasks over JSON: thin, every route calls one service."""

from fastapi import APIRouter

from app.api.deps import Ctx, task_views
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import (
    AgentChange,
    AgentGiven,
    AgentView,
    RepositoryGiven,
    RepositoryView,
    TaskGiven,
    TaskMove,
    TaskTerms,
    TaskView,
)
from app.errors import NotFound
from app.models import Task
from app.services import agents as agent_services
from app.services import repositories as repository_services
from app.services import tasks as task_services
from app.services.context import Context
from app.services.terms import Terms
from app.store import repositories, tasks
from app.web.contexts import snapshot

router = APIRouter(route_class=ApiRoute, responses=RESPONSES)


@router.get("/repositories", tags=["repositories"], summary="The repositories that are served")
def list_repositories(ctx: Ctx) -> list[RepositoryView]:
    with ctx.db.read() as db:
        return [RepositoryView.model_validate(row) for row in repositories.every(db)]


@router.post("/repositories", tags=["repositories"], summary="Serve one more", status_code=201)
def add_repository(ctx: Ctx, given: RepositoryGiven) -> RepositoryView:
    row = repository_services.add_repository(ctx, **given.model_dump())
    return RepositoryView.model_validate(row)


@router.get("/agents", tags=["agents"], summary="The agents and their state")
def list_agents(ctx: Ctx) -> list[AgentView]:
    return _agents(snapshot.take(ctx))


@router.post("/agents", tags=["agents"], summary="Add an agent", status_code=201)
def add_agent(ctx: Ctx, given: AgentGiven) -> AgentView:
    agent_services.add_agent(ctx, **given.model_dump())
    return show_agent(ctx, given.name)


@router.get("/agents/{name}", tags=["agents"], summary="One agent")
def show_agent(ctx: Ctx, name: str) -> AgentView:
    for agent in _agents(snapshot.take(ctx)):
        if agent.name == name:
            return agent
    raise NotFound(f"There is no agent {name!r}; `quarterdeck agent list` shows them.")


@router.patch("/agents/{name}", tags=["agents"], summary="Change an agent")
def set_agent(ctx: Ctx, name: str, change: AgentChange) -> AgentView:
    """Fields that are left out stay; the change holds from the next session start."""
    agent_services.set_agent(ctx, name=name, **change.model_dump())
    return show_agent(ctx, name)


@router.get("/tasks", tags=["tasks"], summary="The backlog in order, or the closed tasks")
def list_tasks(ctx: Ctx, closed: bool = False, limit: int = 50) -> list[TaskView]:
    with ctx.db.read() as db:
        rows = tasks.closed(db, max(1, min(limit, 1000))) if closed else tasks.backlog(db)
        return task_views(db, rows)


@router.post("/tasks", tags=["tasks"], summary="Add a task to the backlog", status_code=201)
def add_task(ctx: Ctx, given: TaskGiven) -> TaskView:
    fields = given.model_dump()
    terms = Terms(**{name: fields.pop(name) for name in TaskTerms.model_fields})
    return _task(ctx, task_services.add_task(ctx, **fields, terms=terms))


@router.get("/tasks/{task_id}", tags=["tasks"], summary="One task")
def show_task(ctx: Ctx, task_id: int) -> TaskView:
    with ctx.db.read() as db:
        return task_views(db, [task_services.existing(db, task_id)])[0]


@router.patch("/tasks/{task_id}", tags=["tasks"], summary="Change a task's terms")
def set_task(ctx: Ctx, task_id: int, change: TaskTerms) -> TaskView:
    """Fields that are left out stay."""
    changes = change.model_dump(exclude_unset=True)
    return _task(ctx, task_services.set_task(ctx, task_id=task_id, **changes))


@router.post("/tasks/{task_id}/start", tags=["tasks"], summary="Give it to the dispatcher")
def start_task(ctx: Ctx, task_id: int) -> TaskView:
    return _task(ctx, task_services.start_task(ctx, task_id=task_id))


@router.post("/tasks/{task_id}/stop", tags=["tasks"], summary="Pause it; its session can resume")
def stop_task(ctx: Ctx, task_id: int) -> TaskView:
    return _task(ctx, task_services.stop_task(ctx, task_id=task_id))


@router.post("/tasks/{task_id}/cancel", tags=["tasks"], summary="Give it up; nothing is deleted")
def cancel_task(ctx: Ctx, task_id: int) -> TaskView:
    return _task(ctx, task_services.cancel_task(ctx, task_id=task_id))


@router.post("/tasks/{task_id}/move", tags=["tasks"], summary="Reorder the backlog")
def move_task(ctx: Ctx, task_id: int, move: TaskMove) -> TaskView:
    task_services.move_task(ctx, task_id=task_id, before_id=move.before_id)
    return show_task(ctx, task_id)


def _task(ctx: Context, task: Task) -> TaskView:
    with ctx.db.read() as db:
        return task_views(db, [task])[0]


def _agents(snap: snapshot.Snapshot) -> list[AgentView]:
    views = []
    for agent in snap.agents:
        session = snap.sessions.get(agent.id or 0)
        task = snap.tasks.get(session.task_id) if session else None
        account = snap.accounts.get(agent.account_id)
        more = {
            "account": account.name if account else "",
            "state": snapshot.state_of(agent, session, task),
            "session_id": session.id if session else None,
            "task_id": session.task_id if session else None,
        }
        views.append(AgentView.model_validate({**agent.model_dump(), **more}))
    return views
