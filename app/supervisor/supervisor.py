"""The supervisor: the loops that keep the fleet going. Born on start, named, watched, ended."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from app.errors import AppError
from app.services import (
    checks,
    clock,
    dispatch,
    evacuation,
    landing,
    launching,
    lifecycle,
    login_loss,
    moves,
    observe,
    parking,
    quotas,
    turns,
    waterfall,
)
from app.services.context import Context
from app.store import merge_requests, sessions
from app.supervisor.bus import Bus
from app.supervisor.importer import import_forever
from app.supervisor.learner import learn_forever
from app.supervisor.prober import probe_forever
from app.supervisor.tail import Tailer

IDLE_SECONDS = 2.0  # a loop that hears nothing looks all the same
RESTART_SECONDS = 1.0
STOP_SECONDS = 10.0

log = structlog.get_logger()


class Supervisor:
    """Everything that runs without being asked."""

    def __init__(self, ctx: Context, bus: Bus) -> None:
        self._ctx, self._bus = ctx, bus
        self.tailer = Tailer(ctx, bus)
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Adopt and bury what the last life left, then begin."""
        await asyncio.to_thread(checks.requeue_interrupted, self._ctx)
        await asyncio.to_thread(landing.recover_landings, self._ctx)
        alive, gone = await asyncio.to_thread(lifecycle.take_stock, self._ctx)
        for session_id in gone:
            await self._bury(session_id)
        await asyncio.to_thread(clock.settle_absent, self._ctx, gone)
        for session_id in alive:
            await asyncio.to_thread(lifecycle.adopt, self._ctx, session_id)
            await self.tailer.catch_up(session_id)
            self.tailer.watch(session_id)
        if alive or gone:
            log.info("boot", adopted=len(alive), buried=len(gone))
        self._loop("tail", self.tailer.run)
        self._loop("store", self.tailer.store_forever)
        self._loop("steward", lambda: self._on_wake(self._steward))
        self._loop("launcher", lambda: self._on_wake(self._launcher))
        self._loop("checker", lambda: self._on_wake(self._checker))
        self._loop("merger", lambda: self._on_wake(self._merger))
        self._loop("balancer", lambda: self._on_wake(self._thread(evacuation.look), 5.0))
        self._loop("observer", lambda: self._on_wake(self._thread(observe.observe_sessions), 2.0))
        self._loop("gauger", lambda: self._on_wake(self._thread(waterfall.sample), 5.0))
        self._loop("prober", lambda: probe_forever(self._ctx, self._bus))
        self._loop("importer", lambda: import_forever(self._ctx))
        self._loop("learner", lambda: learn_forever(self._ctx))

    async def stop(self) -> None:
        """End the loops. Runners live on; the next start adopts them."""
        for loop in self._loops:
            loop.cancel()
        async with asyncio.timeout(STOP_SECONDS):
            await asyncio.gather(*self._loops, return_exceptions=True)
            await self.tailer.stop()

    def _loop(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loops.append(asyncio.create_task(self._forever(name, run), name=name))

    async def _forever(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A loop that dies is told and started again."""
        while True:
            try:
                await run()
            except Exception:
                log.exception("a loop died and is started again", loop=name)
            await asyncio.sleep(RESTART_SECONDS)

    async def _on_wake(self, step: Callable[[], Awaitable[None]], least_seconds: float = 0) -> None:
        with self._bus.listen(["wake"]) as listener:
            while True:
                await step()
                await asyncio.sleep(least_seconds)
                await listener.changes(IDLE_SECONDS)

    async def _steward(self) -> None:
        """Sessions and tasks: settle what ended, then hand out what waits."""
        for session_id in list(self.tailer.gone):
            await self._bury(session_id)
        for step in (
            turns.settle_turns,
            login_loss.settle,
            quotas.enforce,
            moves.settle_moves,
            lifecycle.stop_unwanted,
            lifecycle.deliver_messages,
            parking.unpark,
            dispatch.dispatch,
            clock.observe,
        ):
            await asyncio.to_thread(step, self._ctx)
        with self._ctx.db.read() as db:
            waiting = sessions.wanting_start(db)
        if waiting:
            self._bus.publish("wake")

    async def _bury(self, session_id: str) -> None:
        await self.tailer.catch_up(session_id)
        if await asyncio.to_thread(lifecycle.bury, self._ctx, session_id):
            self.tailer.unwatch(session_id)

    async def _launcher(self) -> None:
        """One after the other: vendors' programs are heavy to start."""
        while True:
            with self._ctx.db.read() as db:
                ready = next(
                    (s for s in sessions.wanting_start(db) if not sessions.rivals(db, s)), None
                )
            if ready is None:
                return
            if await asyncio.to_thread(launching.launch_session, self._ctx, ready.id):
                self.tailer.watch(ready.id)
            await asyncio.sleep(self._ctx.settings.start_interval_seconds)

    async def _checker(self) -> None:
        while True:
            with self._ctx.db.read() as db:
                queued = merge_requests.checks_in(db, ("queued",))
            if not queued:
                return
            await asyncio.to_thread(checks.run_check, self._ctx, queued[0].id or 0)

    async def _merger(self) -> None:
        try:
            await asyncio.to_thread(landing.land_approved, self._ctx)
        except AppError as error:
            log.warning("landing", problem=str(error))

    def _thread(self, step: Callable[[Context], object]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await asyncio.to_thread(step, self._ctx)

        return run
