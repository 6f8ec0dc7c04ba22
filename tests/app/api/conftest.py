"""The API alone, without its door, on a furnished house."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.api.routes import router
from app.services.context import Context
from app.supervisor.bus import Bus
from tests.app.house import House, furnish


@pytest.fixture
def house(ctx: Context) -> House:
    return furnish(ctx)


@pytest.fixture
def application(ctx: Context) -> FastAPI:
    made = FastAPI()
    made.state.ctx, made.state.bus = ctx, Bus()
    made.include_router(router)
    return made


@pytest.fixture
async def api(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    application.state.bus.attach()
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client
