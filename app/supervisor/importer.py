"""The loop that reads the vendors' logs: in small steps, niced, with rests in between.

A first import may be gigabytes. It must not be felt: a step is half a second of one thread, and
the interpreter is everybody else's for three times as long after it.
"""

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from app.errors import Conflict
from app.services import outside
from app.services.context import Context

START_SECONDS = 5.0
EVERY_SECONDS = 600.0
STEP_SECONDS, REST_SECONDS = 0.5, 1.5
_NICENESS = 10

log = structlog.get_logger()


async def import_forever(ctx: Context) -> None:
    """Every account's new logs soon after the start, then every ten minutes."""
    worker = ThreadPoolExecutor(1, "importer", initializer=_be_nice)
    try:
        await asyncio.sleep(START_SECONDS)
        while True:
            for place in await asyncio.to_thread(outside.places, ctx):
                if place.directory is not None:
                    await _import(ctx, worker, place.account.id or 0)
            await asyncio.sleep(EVERY_SECONDS)
    finally:
        await asyncio.to_thread(worker.shutdown)  # waits for one step


async def _import(ctx: Context, worker: ThreadPoolExecutor, account_id: int) -> None:
    """All of one account. What goes wrong with it is told, and is not the others' trouble."""
    step = partial(outside.import_logs, ctx, account_id, seconds=STEP_SECONDS)
    while True:
        try:
            done = await asyncio.get_running_loop().run_in_executor(worker, step)
        except Conflict:
            return  # the human's own import is at it
        except Exception:
            log.exception("logs could not be imported", account=account_id)
            return
        if done.new_calls:
            ctx.publish("accounts")
        if done.is_finished:
            return
        await asyncio.sleep(REST_SECONDS)


def _be_nice() -> None:
    if sys.platform == "linux":  # elsewhere a thread has no niceness of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
