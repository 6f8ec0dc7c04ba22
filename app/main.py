"""Puts the program together: settings, database, door, pages, API, supervisor."""

import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app import __version__, paths
from app.errors import RemoteRefused
from app.services.access import token
from app.services.context import Context
from app.settings import Settings
from app.store.database import Database
from app.supervisor.bus import Bus
from app.web import errors, routes
from app.web.live import Shared, Sockets
from app.web.render import static_hash
from app.web.security import Door, Guard

IMMUTABLE = "public, max-age=31536000, immutable"


def create_app(settings: Settings, *, supervise: bool = True) -> FastAPI:
    """The ASGI application; RemoteRefused or HomeUnusable where it may or can not be served.

    The database must be migrated already. `supervise=False` serves stored state only.
    """
    check_bind(settings)
    bus = Bus()
    ctx = Context(settings=settings, db=Database(settings.database), publish=bus.publish)
    app = FastAPI(
        title="Quarterdeck",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=_lifespan(ctx, bus, supervise),
    )
    secret = token(settings.state)
    guard = Guard(secret, _allowed_hosts(settings))
    app.state.ctx, app.state.bus, app.state.token = ctx, bus, secret
    app.state.guard, app.state.sockets, app.state.shared = guard, Sockets(), Shared()
    app.include_router(routes.router)
    _include_api(app)
    app.mount("/static", HashedFiles(directory=paths.STATIC))
    errors.install(app)
    app.add_middleware(Door, guard=guard)
    return app


def check_bind(settings: Settings) -> None:
    """Nothing but loopback, unless the human said so."""
    if settings.allow_remote or settings.host == "localhost":
        return
    try:
        is_local = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise RemoteRefused(
            f"Listening on {settings.host} opens Quarterdeck beyond this machine: put TLS in front "
            "of it and give --allow-remote, or listen on 127.0.0.1."
        )


def _allowed_hosts(settings: Settings) -> list[str]:
    hosts = list(settings.allowed_hosts)
    if settings.allow_remote and settings.host not in ("0.0.0.0", "::"):
        hosts.append(settings.host)
    return hosts


def _include_api(app: FastAPI) -> None:
    from app.api.routes import router

    app.include_router(router)


def _lifespan(
    ctx: Context, bus: Bus, supervise: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        bus.attach()
        if not supervise:
            yield
            ctx.db.close()
            return
        from app.supervisor.supervisor import Supervisor

        supervisor = Supervisor(ctx, bus)
        await supervisor.start()
        try:
            yield
        finally:
            await supervisor.stop()
            ctx.db.close()

    return lifespan


class HashedFiles(StaticFiles):
    """Static files; one asked for by the hash of its content may be kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        version = scope["query_string"].decode("latin-1").removeprefix("v=")
        is_current = response.status_code == 200 and version == static_hash(path)
        response.headers["cache-control"] = IMMUTABLE if is_current else "no-cache"
        return response
