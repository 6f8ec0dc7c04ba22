"""Tasks: what the human wants done, and the backlog's order."""

from typing import Any

from sqlmodel import Session as Orm

from app.errors import Conflict, Invalid, NotFound
from app.models import Repository, Session, Task
from app.models.base import utc_now
from app.services.agents import existing as existing_agent
from app.services.context import Context
from app.services.ledger import record
from app.services.terms import Terms, set_terms
from app.services.terms import of as terms_of
from app.store import merge_requests, repositories, sessions, tasks

PROMPT_BYTES = 200_000
TITLE_CHARS = 200
NO_TERMS = Terms()


def add_task(
    ctx: Context,
    *,
    repository: str | None,
    title: str,
    prompt: str,
    base_branch: str | None = None,
    agent: str | None = None,
    draft: bool = False,
    terms: Terms = NO_TERMS,
) -> Task:
    """Put a piece of work at the end of the backlog; a draft waits for `start_task`."""
    title, prompt = checked_words(title, prompt)
    with ctx.db.write() as db:
        repo = repository_named(db, repository)
        wanted = existing_agent(db, agent) if agent is not None else None
        task = Task(
            repository_id=repo.id or 0,
            title=title,
            prompt=prompt,
            base_branch=base_branch or repo.base_branch,
            wanted_agent_id=wanted.id if wanted else None,
            state="draft" if draft else "queued",
        )
        put(db, task, terms)
    ctx.publish("tasks", "fleet", "wake")
    return task


def put(db: Orm, task: Task, terms: Terms) -> None:
    """At the end of the backlog, with its terms."""
    task.position = tasks.last_position(db) + 1.0
    set_terms(db, task, terms)
    db.add(task)
    db.flush()


def set_task(ctx: Context, *, task_id: int, **changes: Any) -> Task:
    """Change the terms that are given, by the names of `Terms`; the others stay."""
    with ctx.db.write() as db:
        task = existing(db, task_id)
        if task.state not in tasks.OPEN_STATES:
            raise Conflict(f"Task {task_id} is {task.state}; its terms no longer matter.")
        set_terms(db, task, Terms(**{**terms_of(db, task), **changes}))
        db.add(task)
        record(db, "set", f"task {task_id}", detail={"terms": sorted(changes)})
    ctx.publish("tasks", "wake")
    return task


def start_task(ctx: Context, *, task_id: int) -> Task:
    """Give a draft, failed, parked or cancelled task (back) to the dispatcher."""
    with ctx.db.write() as db:
        task = existing(db, task_id)
        if task.state not in ("draft", "failed", "cancelled", "parked"):
            raise Conflict(f"Task {task_id} is {task.state}; only a waiting task can be started.")
        task.state, task.state_reason, task.parked_until, task.ended_at = "queued", "", None, None
        db.add(task)
        record(db, "start", f"task {task_id}")
    ctx.publish("tasks", "fleet", "wake")
    return task


def stop_task(ctx: Context, *, task_id: int) -> Task:
    """Pause: the runner is stopped, the worktree and the conversation stay for `start_task`."""
    return _leave(ctx, task_id, ("queued", "running", "parked"), "draft", "stop")


def cancel_task(ctx: Context, *, task_id: int) -> Task:
    """Give it up; what its agent made is snapshotted before the worktree is used again."""
    open_states = ("draft", "queued", "running", "parked", "failed", "review")
    return _leave(ctx, task_id, open_states, "cancelled", "cancel")


def move_task(ctx: Context, *, task_id: int, before_id: int | None) -> None:
    """Place a task before another one, or at the end of the backlog."""
    with ctx.db.write() as db:
        moved = existing(db, task_id)
        others = [task for task in tasks.backlog(db) if task.id != task_id]
        at = len(others)
        if before_id is not None:
            at = next((n for n, task in enumerate(others) if task.id == before_id), -1)
            if at < 0:
                raise NotFound(f"Task {before_id} is not in the backlog any more.")
        after = others[at - 1].position if at > 0 else 0.0
        before = others[at].position if at < len(others) else after + 2.0
        moved.position = (after + before) / 2
        db.add(moved)
    ctx.publish("tasks", "wake")


def existing(db: Orm, task_id: int) -> Task:
    task = tasks.get(db, task_id)
    if task is None:
        raise NotFound(f"There is no task {task_id}; `quarterdeck task list` shows them.")
    return task


def _leave(ctx: Context, task_id: int, was: tuple[str, ...], now: str, verb: str) -> Task:
    with ctx.db.write() as db:
        task = existing(db, task_id)
        if task.state not in was:
            raise Conflict(f"Task {task_id} is {task.state}; it cannot be set to {now}.")
        task.state, task.parked_until = now, None
        task.state_reason = f"{verb} by the human"
        if now == "cancelled":
            task.ended_at = utc_now()
            _withdraw(db, task_id)
        db.add(task)
        for session in sessions.of_task(db, task_id):
            _ask_to_stop(db, session, for_good=now == "cancelled")
        record(db, verb, f"task {task_id}")
    ctx.publish("tasks", "fleet", "reviews", "wake")
    return task


def _ask_to_stop(db: Orm, session: Session, *, for_good: bool) -> None:
    session.wants_stop = session.state in ("starting", "running")
    session.pending_outcome = ""
    if for_good and not session.wants_stop:
        session.state, session.ended_at = "ended", utc_now()
    db.add(session)


def _withdraw(db: Orm, task_id: int) -> None:
    request = merge_requests.of_task(db, task_id)
    if request is not None and request.state in merge_requests.OPEN_STATES:
        merge_requests.change_state(db, request.id or 0, merge_requests.OPEN_STATES, "withdrawn")


def repository_named(db: Orm, slug: str | None) -> Repository:
    """That one, or the only one; Invalid or NotFound says how to name it."""
    known = repositories.every(db)
    if slug is None:
        if len(known) == 1:
            return known[0]
        if not known:
            raise Invalid("No repository is served yet; add one with `quarterdeck repository add`.")
        raise Invalid(f"Name the repository: {', '.join(repo.slug for repo in known)}.")
    for repo in known:
        if repo.slug == slug:
            return repo
    raise NotFound(f"There is no repository {slug!r}; `quarterdeck repository list` shows them.")


def checked_words(title: str, prompt: str) -> tuple[str, str]:
    """Title and prompt, each made from the other where it is left out; Invalid for neither."""
    title, prompt = " ".join(title.split()), prompt.strip()
    if not title and not prompt:
        raise Invalid("The task is empty; say what should be done.")
    title = title or prompt.splitlines()[0]
    prompt = prompt or title
    size = len(prompt.encode())
    if size > PROMPT_BYTES:
        raise Invalid(
            f"The prompt has {size:,} bytes, more than {PROMPT_BYTES:,}; "
            "put long material into a file of the repository and name it."
        )
    return title[:TITLE_CHARS], prompt
