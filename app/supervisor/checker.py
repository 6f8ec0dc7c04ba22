"""The loop that runs checks: several at once, the most urgent first, dropped ones killed."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event

import structlog

from app.models import Check
from app.services import check_runs
from app.services.context import Context
from app.supervisor.bus import Bus

IDLE_SECONDS = 2.0
STOP_SECONDS = 5.0  # to kill what runs takes a moment; one that writes its tree may take longer

log = structlog.get_logger()


async def check_forever(ctx: Context, bus: Bus) -> None:
    """Keep as many checks running as may; ends with all of them killed, to be run again."""
    await asyncio.to_thread(check_runs.requeue_interrupted, ctx)
    hands = _Hands(ctx, ctx.settings.checks_at_once)
    try:
        with bus.listen(["wake"]) as listener:
            while True:
                await asyncio.to_thread(check_runs.drop_unneeded, ctx)
                hands.follow(await asyncio.to_thread(check_runs.in_order, ctx))
                await listener.changes(IDLE_SECONDS)
    finally:
        await hands.stop()


class _Hands:
    """What runs now, each with the bell that ends it."""

    def __init__(self, ctx: Context, at_once: int) -> None:
        self._ctx, self._at_once = ctx, at_once
        # threads of their own: checks last, and everybody's pool is small
        self._threads = ThreadPoolExecutor(at_once, "check")
        self._running: dict[int, tuple[Future[None], Event]] = {}

    def follow(self, wanted: list[Check]) -> None:
        """Make what runs be what is wanted: end what was dropped, begin what comes next."""
        self._running = {id: hand for id, hand in self._running.items() if not hand[0].done()}
        for check_id in self._running.keys() - {check.id for check in wanted}:
            self._running[check_id][1].set()
        for check in wanted:
            if len(self._running) < self._at_once and (check.id or 0) not in self._running:
                self._begin(check.id or 0)

    async def stop(self) -> None:
        """End all at once; the next start runs them again."""
        for _, cancelled in self._running.values():
            cancelled.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(wait, [run for run, _ in self._running.values()], STOP_SECONDS)

    def _begin(self, check_id: int) -> None:
        cancelled = Event()
        self._running[check_id] = (self._threads.submit(self._run, check_id, cancelled), cancelled)

    def _run(self, check_id: int, cancelled: Event) -> None:
        try:
            check_runs.run_check(self._ctx, check_id, cancelled)
        except Exception as problem:
            log.exception("a check broke off", check=check_id)
            check_runs.give_up(self._ctx, check_id, f"Quarterdeck could not run it: {problem}")
        self._ctx.publish("wake")
