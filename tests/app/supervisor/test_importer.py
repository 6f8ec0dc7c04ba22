"""The loop that imports logs: by itself, in steps, again when there is more, and ended in time."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlmodel import col, select

from agents.meters.specimen import write_specimen
from app.models import OutsideMinute
from app.services.context import Context
from app.supervisor import importer
from tests.app import factories as make

SECONDS = 20.0


def output_tokens(ctx: Context) -> int:
    with ctx.db.read() as db:
        return db.exec(select(func.sum(col(OutsideMinute.output_tokens)))).one() or 0


async def test_it_imports_soon_and_again(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asyncio.Event()
    ctx = Context(ctx.settings, ctx.db, lambda *_: told.set())

    async def until(tokens: int) -> None:
        async with asyncio.timeout(SECONDS):
            while output_tokens(ctx) != tokens:
                await told.wait()
                told.clear()

    for name in ("START_SECONDS", "EVERY_SECONDS", "REST_SECONDS"):
        monkeypatch.setattr(importer, name, 0.01)
    monkeypatch.setattr(importer, "STEP_SECONDS", 0.0)
    make.account(ctx, "no directory", driver="claude_code", config_dir=str(tmp_path / "nowhere"))
    written = write_specimen("codex", tmp_path / "codex", 200_000)
    make.account(ctx, "codex", driver="codex", config_dir=str(tmp_path / "codex"))
    loop = asyncio.create_task(importer.import_forever(ctx))
    await until(written.output_tokens)
    more = write_specimen("claude_code", tmp_path / "nowhere", 200_000)
    await until(written.output_tokens + more.output_tokens)
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(loop, SECONDS)
    assert loop.cancelled()
