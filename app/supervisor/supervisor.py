"""The supervisor: the loops that keep the fleet going. Born on start, named, watched, ended."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from app.services import (
    clock,
    contests,
    dispatch,
    evacuation,
    landing,
    launching,
    lifecycle,
    login_loss,
    moves,
    observe,
    outcomes,
    parking,
    publishing,
    queue,
    quotas,
    radar,
    refreshing,
    turns,
    unions,
    upkeep,
    waterfall,
)
from app.services.context import Context
from app.store import sessions
from app.supervisor.bus import Bus
from app.supervisor.checker import check_forever
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
        self._recorder = outcomes.Recorder()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Adopt and bury what the last life left, then begin."""
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
        self._loop("checker", lambda: check_forever(self._ctx, self._bus))
        self._loop("merger", lambda: self._on_wake(self._thread(queue.step)))
        refresher = self._thread(refreshing.Refresher().refresh_stale)
        self._loop("refresher", lambda: self._on_wake(refresher, 1.0))
        self._loop("unions", lambda: self._on_wake(self._thread(unions.build_waiting)))
        keeper = self._thread(upkeep.Keeper().look)
        self._loop("keeper", lambda: self._on_wake(keeper, 1.0))
        self._loop("pusher", lambda: self._on_wake(self._thread(publishing.push_waiting)))
        self._loop("balancer", lambda: self._on_wake(self._thread(evacuation.look), 5.0))
        self._loop("observer", lambda: self._on_wake(self._thread(observe.observe_sessions), 2.0))
        self._loop("radar", lambda: self._on_wake(self._thread(radar.refresh), 1.0))
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
            contests.settle,
            self._recorder.look,
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

    def _thread(self, step: Callable[[Context], object]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await asyncio.to_thread(step, self._ctx)

        return run
