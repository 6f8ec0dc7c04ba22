"""`quarterdeck task`: the backlog."""

from typing import Annotated, Any

import typer

from app import show
from app.cli.common import AsJson, connect, group, read_text

cli = group("task", "What is to be done: the backlog and its order.")
Priority = Annotated[int | None, typer.Option(help="-9 to 9, higher first.")]
Deadline = Annotated[str | None, typer.Option(help="A time with its zone: 2030-01-31T17:00Z.")]
Deferrable = Annotated[
    bool | None, typer.Option("--deferrable/--now", help="Only for quota that would expire.")
]
After = Annotated[
    list[int] | None, typer.Option(help="A task that must be done before; may be given often.")
]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="That may do it; may be given often.")
]
Overflow = Annotated[
    bool | None, typer.Option("--overflow/--no-overflow", help="May be paid by use, on a key.")
]
Account = Annotated[str | None, typer.Option(help="Only this account may pay for it.")]
Label = Annotated[str | None, typer.Option(help="The kind of work; the record is kept by it.")]
Care = Annotated[str | None, typer.Option(help="Its review asks for glance, read or study.")]
TaskId = Annotated[int, typer.Argument(help="The task's number.")]


@cli.command()
def add(
    title: Annotated[str, typer.Argument(help="One line.")],
    prompt: Annotated[str, typer.Option(help="The whole instruction; `-` reads it.")] = "",
    repository: Annotated[str | None, typer.Option(help="Needed where there are several.")] = None,
    base: Annotated[str | None, typer.Option(help="Branch to start from and merge into.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only this agent may take it.")] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Keep it back until `start`.")] = False,
    priority: Priority = None,
    deadline: Deadline = None,
    deferrable: Deferrable = None,
    after: After = None,
    model: Models = None,
    overflow: Overflow = None,
    account: Account = None,
    label: Label = None,
    care: Care = None,
    json: AsJson = False,
) -> None:
    """Add a task to the end of the backlog."""
    terms = _terms(priority, deadline, deferrable, after, model, overflow, account, label, care)
    with connect() as client:
        task = client.post(
            "/tasks",
            title=title,
            prompt=read_text(prompt),
            repository=repository,
            base_branch=base,
            agent=agent,
            draft=draft,
            **terms,
        )
    _said(task, as_json=json)


@cli.command("set")
def set_(
    task_id: TaskId,
    priority: Priority = None,
    deadline: Deadline = None,
    deferrable: Deferrable = None,
    after: After = None,
    model: Models = None,
    overflow: Overflow = None,
    account: Account = None,
    label: Label = None,
    care: Care = None,
    json: AsJson = False,
) -> None:
    """Change a task's terms; `none` lifts a deadline, account, label or care."""
    terms = _terms(priority, deadline, deferrable, after, model, overflow, account, label, care)
    lifted = [name for name in ("deadline_at", "account") if terms.get(name) == "none"]
    left = {name: value for name, value in terms.items() if name not in lifted}
    kept = {name: "" if value == "none" else value for name, value in left.items()}
    with connect() as client:
        _said(client.patch(f"/tasks/{task_id}", lifted, **kept), as_json=json)


@cli.command("list")
def list_(
    closed: Annotated[bool, typer.Option("--closed", help="Those that are over.")] = False,
    json: AsJson = False,
) -> None:
    """List the backlog in its order."""
    with connect() as client:
        tasks = client.get("/tasks", closed=closed)
    if json:
        show.as_json(tasks)
        return
    rows = [
        (
            task["id"],
            task["state"],
            task["title"],
            task["agent"] or task["wanted_agent"],
            f"{task['repository']}:{task['base_branch']}",
            show.ago(task["created_at"]),
            task["state_reason"],
        )
        for task in tasks
    ]
    show.table(("id", "state", "title", "agent", "into", "age", "why"), rows)


@cli.command("show")
def show_(task_id: TaskId, json: AsJson = False) -> None:
    """Show one task with its whole prompt."""
    with connect() as client:
        task = client.get(f"/tasks/{task_id}")
    if json:
        show.as_json(task)
        return
    prompt = task.pop("prompt")
    show.table(("", ""), task.items())
    show.line(f"\n{prompt}")


@cli.command()
def start(task_id: TaskId, json: AsJson = False) -> None:
    """Give a draft, failed or parked task (back) to the dispatcher."""
    _do(task_id, "start", as_json=json)


@cli.command()
def stop(task_id: TaskId, json: AsJson = False) -> None:
    """Pause a task: its agent stops, its worktree and conversation stay for `start`."""
    _do(task_id, "stop", as_json=json)


@cli.command()
def cancel(task_id: TaskId, json: AsJson = False) -> None:
    """Give a task up; what its agent made is kept in a snapshot."""
    _do(task_id, "cancel", as_json=json)


@cli.command()
def move(
    task_id: TaskId,
    before: Annotated[int | None, typer.Option(help="Place it before this task.")] = None,
    json: AsJson = False,
) -> None:
    """Reorder the backlog; without --before the task goes to its end."""
    with connect() as client:
        _said(client.post(f"/tasks/{task_id}/move", before_id=before), as_json=json)


def _terms(
    priority: int | None,
    deadline: str | None,
    deferrable: bool | None,
    after: list[int] | None,
    models: list[str] | None,
    overflow: bool | None,
    account: str | None,
    label: str | None,
    care: str | None,
) -> dict[str, Any]:
    """The terms that were given, by their names in the API."""
    given = {
        "priority": priority,
        "deadline_at": deadline,
        "is_deferrable": deferrable,
        "after": after or None,
        "models": models or None,
        "may_overflow": overflow,
        "account": account,
        "label": label,
        "care": care,
    }
    return {name: value for name, value in given.items() if value is not None}


def _do(task_id: int, verb: str, *, as_json: bool) -> None:
    with connect() as client:
        _said(client.post(f"/tasks/{task_id}/{verb}"), as_json=as_json)


def _said(task: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        show.as_json(task)
    else:
        show.line(f"Task {task['id']} is {task['state']}: {task['title']}")
