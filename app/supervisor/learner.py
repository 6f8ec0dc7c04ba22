"""The loop that looks back at meters: how budgets ended each minute, their sizes now and then."""

import asyncio
from datetime import datetime, timedelta

from app.models.base import utc_now
from app.services import capacity, endings
from app.services.context import Context

SWEEP_SECONDS = 60.0
LEARN_EVERY = timedelta(minutes=10)


async def learn_forever(ctx: Context) -> None:
    """Sweep once a minute, learn every ten; what has changed is drawn anew."""
    learned_at: datetime | None = None
    while True:
        now = utc_now()
        changed = await asyncio.to_thread(endings.sweep, ctx, now)
        if learned_at is None or now - learned_at >= LEARN_EVERY or now < learned_at:
            changed += await asyncio.to_thread(capacity.learn, ctx, now)
            learned_at = now
        if changed:
            ctx.publish("accounts")
        await asyncio.sleep(SWEEP_SECONDS)
