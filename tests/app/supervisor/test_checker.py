"""The checker's loop: several at once and no more, urgent ones first, dropped ones killed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.models import Check, MergeRequest
from app.services import checks
from app.services.context import Context
from app.supervisor.bus import Bus
from app.supervisor.checker import check_forever
from tests.app.services.checking import Yard

SECONDS = 20.0


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def live(ctx: Context, bus: Bus) -> Context:
    """Unboxed, so that the commands below can leave notes outside of their places."""
    ctx.settings.sandbox, ctx.settings.max_checks = False, 2
    return Context(ctx.settings, ctx.db, bus.publish)


@asynccontextmanager
async def checking(ctx: Context, bus: Bus) -> AsyncIterator[None]:
    bus.attach()
    loop = asyncio.create_task(check_forever(ctx, bus))
    try:
        yield
    finally:
        loop.cancel()
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(loop, return_exceptions=True)


async def until(bus: Bus, ready: Callable[[], bool]) -> None:
    with bus.listen(["wake"]) as listener:
        async with asyncio.timeout(SECONDS):
            while not ready():
                await listener.changes(0.05)


def waits_for(go: Path, notes: Path) -> str:
    return f"cat a >> {notes}; until test -e {go}; do sleep 0.05; done; echo done >> {notes}"


def written(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


def queued(yard: Yard, *names: str) -> list[Check]:
    return [yard.want(yard.request(yard.tree(a=f"{name}\n"))) for name in names]


async def test_as_many_run_at_once_as_may(live: Context, bus: Bus, tmp_path: Path) -> None:
    go, notes = tmp_path / "go", tmp_path / "notes"
    yard = Yard(live, tmp_path, waits_for(go, notes))
    all_ = queued(yard, "one", "two", "three")
    async with checking(live, bus):
        await until(bus, lambda: len(written(notes)) == 2)
        assert [yard.now(check).state for check in all_] == ["running", "running", "queued"]
        go.touch()
        await until(bus, lambda: {yard.now(check).state for check in all_} == {"passed"})
    assert sorted(written(notes)[:2]) == ["one", "two"]
    assert len(written(notes)) == 6


async def test_a_train_overtakes_what_waits(live: Context, bus: Bus, tmp_path: Path) -> None:
    live.settings.max_checks = 1
    go, notes = tmp_path / "go", tmp_path / "notes"
    yard = Yard(live, tmp_path, waits_for(go, notes))
    (first, second) = queued(yard, "one", "two")
    async with checking(live, bus):
        await until(bus, lambda: written(notes) == ["one"])
        train = yard.ask(yard.tree(a="train\n"), batch_id=yard.batch("train").id)
        go.touch()
        await until(bus, lambda: yard.now(second).state == "passed")
    assert [line for line in written(notes) if line != "done"] == ["one", "train", "two"]
    assert {yard.now(first).state, yard.now(train).state} == {"passed"}


async def test_a_tree_that_moved_makes_room_at_once(
    live: Context, bus: Bus, tmp_path: Path
) -> None:
    live.settings.max_checks = 1
    go, notes = tmp_path / "go", tmp_path / "notes"
    yard = Yard(live, tmp_path, waits_for(go, notes))
    (first, second) = queued(yard, "one", "two")
    async with checking(live, bus):
        await until(bus, lambda: written(notes) == ["one"])
        with live.db.write() as db:
            db.get_one(MergeRequest, first.merge_request_id).tree_sha = ""
        live.publish("wake")
        await until(bus, lambda: written(notes) == ["one", "two"])
        assert (yard.now(first).state, yard.now(second).state) == ("stale", "running")
        checks.cancel(live, second.id or 0)
        again = checks.rerun(live, second.id or 0)
        await until(bus, lambda: written(notes) == ["one", "two", "two"])
        assert yard.now(again).state == "running"
    assert [path.name for path in live.home.checks().iterdir() if path.is_dir()] == []


async def test_a_stopped_server_runs_it_again_when_it_is_back(
    live: Context, bus: Bus, tmp_path: Path
) -> None:
    go, notes = tmp_path / "go", tmp_path / "notes"
    yard = Yard(live, tmp_path, waits_for(go, notes))
    (check,) = queued(yard, "one")
    async with checking(live, bus):
        await until(bus, lambda: written(notes) == ["one"])
        assert yard.now(check).state == "running"
    assert yard.now(check).state == "queued"
    go.touch()
    async with checking(live, bus):
        await until(bus, lambda: yard.now(check).state == "passed")
    assert written(notes) == ["one", "one", "done"]


async def test_what_breaks_off_by_our_fault_is_an_error(
    live: Context, bus: Bus, tmp_path: Path
) -> None:
    """A NUL in the command: no program can be started with it."""
    yard = Yard(live, tmp_path, "true")
    check, other = queued(yard, "one", "two")
    with live.db.write() as db:
        db.get_one(Check, check.id).command = "tr\0ue"
    async with checking(live, bus):
        await until(bus, lambda: yard.now(other).state == "passed")
        await until(bus, lambda: yard.now(check).state == "error")
    assert "null byte" in yard.now(check).output_tail
