"""Tasks: the backlog, new work, and its order."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import Response

from app.services import contests
from app.services import tasks as tasks_service
from app.store import accounts
from app.store import tasks as task_store
from app.web import answers
from app.web.contexts import snapshot, tasks
from app.web.deps import Ctx
from app.web.forms import TermsGiven
from app.web.render import page

router = APIRouter()
Given = Annotated[TermsGiven, Depends()]


@router.get("/tasks")
def index(request: Request, ctx: Ctx) -> Response:
    snap = snapshot.take(ctx)
    return page(
        request, "tasks/index.html", live="tasks", snap=snap, tasks=tasks.listing(ctx, snap)
    )


@router.post("/tasks")
def add(
    request: Request,
    ctx: Ctx,
    given: Given,
    prompt: Annotated[str, Form()] = "",
    title: Annotated[str, Form()] = "",
    repository: Annotated[str, Form()] = "",
    base_branch: Annotated[str, Form()] = "",
    agent: Annotated[list[str] | None, Form()] = None,
    each_model: Annotated[str, Form()] = "",
    draft: Annotated[str, Form()] = "",
) -> Response:
    """A task; a contest where it is for several agents, or for each of its models."""
    terms, agents = given.terms(), [name for name in agent or () if name]
    words: dict[str, Any] = {
        "repository": repository or None,
        "title": title,
        "prompt": prompt,
        "base_branch": base_branch.strip() or None,
        "draft": bool(draft),
        "terms": terms,
    }
    if len(agents) > 1 or each_model:
        models = terms.models if each_model else ()
        contest = contests.start(ctx, agents=agents, models=models, **words)
        return answers.go(f"/contests/{contest.id}")
    task = tasks_service.add_task(ctx, agent=next(iter(agents), None), **words)
    kept = "kept as a draft" if task.state == "draft" else "in the backlog"
    return answers.done(request, f"“{task.title}” is {kept}.", "tasks")


@router.get("/tasks/{task_id}/terms")
def terms(request: Request, ctx: Ctx, task_id: int) -> Response:
    """The task's terms, to look at and to change."""
    with ctx.db.read() as db:
        task = tasks_service.existing(db, task_id)
        names = {row.id: row.name for row in accounts.every(db)}
        labels = task_store.labels(db)
    return answers.sheet(
        request,
        "tasks/_terms.html",
        f"Terms of task {task_id}",
        task=task,
        accounts=list(names.values()),
        account=names.get(task.wanted_account_id),
        labels=labels,
    )


@router.post("/tasks/{task_id}/terms")
def set_terms(request: Request, ctx: Ctx, task_id: int, given: Given) -> Response:
    tasks_service.set_task(ctx, task_id=task_id, **asdict(given.terms()))
    return answers.done(request, f"The terms of task {task_id} are kept.", "tasks")


@router.post("/tasks/{task_id}/start")
def start(request: Request, ctx: Ctx, task_id: int) -> Response:
    tasks_service.start_task(ctx, task_id=task_id)
    return answers.done(request, "Started: a free agent takes it.", "tasks", "inbox")


@router.post("/tasks/{task_id}/stop")
def stop(request: Request, ctx: Ctx, task_id: int) -> Response:
    tasks_service.stop_task(ctx, task_id=task_id)
    return answers.done(request, "Stopped; start it again to resume.", "tasks")


@router.post("/tasks/{task_id}/cancel")
def cancel(request: Request, ctx: Ctx, task_id: int) -> Response:
    tasks_service.cancel_task(ctx, task_id=task_id)
    return answers.done(request, "Cancelled; its work is kept in a snapshot.", "tasks", "inbox")


@router.post("/tasks/{task_id}/move")
def move(request: Request, ctx: Ctx, task_id: int, before: Annotated[str, Form()] = "") -> Response:
    """Before another task, or to the end where none is given."""
    before_id = int(before) if before.isdigit() and len(before) < 12 else None
    tasks_service.move_task(ctx, task_id=task_id, before_id=before_id)
    return answers.done(request, "Moved.", "tasks")
