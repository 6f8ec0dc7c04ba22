"""What routes are handed: the context, the guard, the commit that a verdict is for."""

from typing import Annotated, cast

from fastapi import Depends, Form
from starlette.requests import HTTPConnection

from app.services.context import Context
from app.web.security import Guard


async def context(connection: HTTPConnection) -> Context:
    return cast(Context, connection.app.state.ctx)


async def guard(connection: HTTPConnection) -> Guard:
    return cast(Guard, connection.app.state.guard)


Ctx = Annotated[Context, Depends(context)]
Gate = Annotated[Guard, Depends(guard)]
HeadSha = Annotated[str, Form(pattern="^[0-9a-f]{40,64}$")]
