"""The loop that asks vendors about accounts: one program at a time, each bounded."""

import asyncio

import structlog

from app.models.base import utc_now
from app.services import probe_times, probing
from app.services.context import Context
from app.supervisor.bus import Bus

LEAST_SECONDS, IDLE_SECONDS = 0.5, 2.0

log = structlog.get_logger()


async def probe_forever(ctx: Context, bus: Bus) -> None:
    """Look what is due when the human asks, and every two seconds all the same."""
    with bus.listen(["probe"]) as listener:
        while True:
            due = await asyncio.to_thread(probing.due, ctx, utc_now())
            if due:  # one, then look again: the human may have asked for another meanwhile
                await _probe(ctx, due[0])
            else:
                await asyncio.sleep(LEAST_SECONDS)
                await listener.changes(IDLE_SECONDS)


async def _probe(ctx: Context, account_id: int) -> None:
    started_at = utc_now()
    try:
        async with asyncio.timeout(probing.ASK_SECONDS):
            report = await asyncio.wrap_future(probing.begin(ctx, account_id))
    except TimeoutError:
        report = probing.silence()
    except Exception:
        log.exception("an account could not be asked", account=account_id)
        probe_times.note(ctx, account_id, started_at, told=False, is_in=False)
        return
    await asyncio.to_thread(probing.store, ctx, account_id, report, started_at)
