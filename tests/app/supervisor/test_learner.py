"""The learner sweeps ends by itself, says so, and outlives having nothing to do."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from app.models.base import utc_now
from app.services.context import Context
from app.store import quota
from app.supervisor.learner import learn_forever
from tests.app import factories as make


async def test_an_end_that_nobody_read_is_kept_and_told(ctx: Context) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    publish: Callable[..., None] = lambda *_: loop.call_soon_threadsafe(told.set)  # noqa: E731
    now, login = utc_now(), make.account(ctx, week_usd=100.0)
    before, reset = now - timedelta(hours=2), now - timedelta(hours=1)
    make.quota(
        ctx, login, "seven_day", 30, window_minutes=10080, resets_at=reset, observed_at=before
    )
    running = asyncio.create_task(learn_forever(Context(ctx.settings, ctx.db, publish)))
    async with asyncio.timeout(10):
        await told.wait()
    running.cancel()
    with ctx.db.read() as db:
        assert [end.used_percent for end in quota.ends(db, before)] == [30]
