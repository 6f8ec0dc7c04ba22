"""What the API's routes are handed, and the rows' names put in place of their ids."""

from typing import Annotated, cast

from fastapi import Depends, Request
from sqlmodel import Session as Orm

from app.api.schemas import SessionView, TaskView
from app.models import Session, Task
from app.services.context import Context
from app.store import accounts, agents, repositories
from app.supervisor.bus import Bus


async def context(request: Request) -> Context:
    return cast(Context, request.app.state.ctx)


async def bus(request: Request) -> Bus:
    return cast(Bus, request.app.state.bus)


Ctx = Annotated[Context, Depends(context)]
LiveBus = Annotated[Bus, Depends(bus)]


def agent_names(db: Orm) -> dict[int | None, str]:
    return {agent.id: agent.name for agent in agents.every(db)}


def task_views(db: Orm, tasks: list[Task]) -> list[TaskView]:
    names = agent_names(db)
    slugs = {repository.id: repository.slug for repository in repositories.every(db)}
    logins = {account.id: account.name for account in accounts.every(db)}
    return [
        TaskView.model_validate(
            {
                **task.model_dump(),
                "repository": slugs.get(task.repository_id, ""),
                "agent": names.get(task.agent_id),
                "wanted_agent": names.get(task.wanted_agent_id),
                "account": logins.get(task.wanted_account_id),
            }
        )
        for task in tasks
    ]


def session_views(db: Orm, sessions: list[Session]) -> list[SessionView]:
    names = agent_names(db)
    return [
        SessionView.model_validate(
            {**session.model_dump(), "agent": names.get(session.agent_id, "")}
        )
        for session in sessions
    ]
