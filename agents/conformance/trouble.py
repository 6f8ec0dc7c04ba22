"""Contracts of trouble: programs that die, lines that are none, limits, every failing scenario."""

import asyncio
import shlex
import time
from collections.abc import Awaitable, Callable

import msgspec

from agents.conformance.looking import start_error
from agents.errors import VendorError
from agents.events import ErrorKind, Failed, Quota, Retrying, TurnEnded, Unparsed
from agents.registry import driver
from agents.testing import Stage

ASK_SECONDS = 30.0


async def dies_at_once(stage: Stage) -> None:
    """A program that ends before it speaks fails `start()` and is quoted; nothing else is told."""
    program = stage.tmp / "dies"
    program.write_text("#!/bin/sh\necho these-last-words >&2\nexit 3\n")
    program.chmod(0o755)
    error = await start_error(stage, str(program))
    assert isinstance(error, VendorError)
    assert error.kind == "crashed"
    assert "these-last-words" in str(error)


async def survives_strange_lines(stage: Stage) -> None:
    """Words that are no protocol, broken UTF-8, a 20 MB line: shown as unparsed, nothing lost."""
    real = stage.spec("happy").binary
    program = stage.tmp / "strange"
    program.write_text(
        "#!/bin/sh\necho plain words\nprintf 'broken \\377\\376 text\\n'\n"
        "head -c 20000000 /dev/zero | tr '\\000' x\necho\n"
        f'exec {shlex.quote(real)} "$@"\n'
    )
    program.chmod(0o755)
    async with stage.session("happy", binary=str(program)) as live:
        assert (await live.turn()).outcome == "completed"
        strange = live.host.of(Unparsed)
        assert [row.text[:5] for row in strange] == ["plain", "broke", "xxxxx"]
        assert max(len(row.text) for row in strange) < 100_000
        assert live.host.vendor.stat().st_size > 20_000_000, "the raw line keeps all"


async def missing_program(stage: Stage) -> None:
    """A program that is not there is one sentence that names it."""
    assert "no-such-program" in str(await start_error(stage, str(stage.tmp / "no-such-program")))


async def tells_of_its_account(stage: Stage) -> None:
    """Asking takes 30 seconds at most, asks no model, and raises nothing; nobody is no 0 %."""
    spec, began = stage.spec("happy"), time.monotonic()
    secret = {spec.endpoint.secret_env: stage.case.secret} if spec.endpoint.secret_env else {}
    ask = driver(stage.case.driver_id).read_account
    report = await asyncio.to_thread(ask, spec.endpoint, spec.env | secret)
    assert report.logged_in is not False, report
    nobody = msgspec.structs.replace(spec.endpoint, secret_env="NOT_SET")
    missing = await asyncio.to_thread(ask, nobody, spec.env)
    assert missing.quota is None
    assert missing.logged_in is not True
    assert time.monotonic() - began < 2 * ASK_SECONDS
    assert stage.requests == []


async def reports_limit(stage: Stage) -> None:
    """A used-up window ends the turn as `limited`, with the time it returns."""
    async with stage.session("limited") as live:
        ended = await live.turn()
        assert (ended.outcome, ended.error) == ("limited", "limit")
        assert [failure.error for failure in live.host.of(Failed)] == ["limit"]
        if stage.case.quota:
            assert ended.resets_at is not None
            assert ended.resets_at.tzinfo is not None
            assert live.host.of(Quota)[-1].status == "rejected"
            assert max(window.used_percent for window in live.host.of(Quota)[-1].windows) >= 100


async def reports_warning(stage: Stage) -> None:
    """A nearly used-up window is a warning, and the turn completes."""
    async with stage.session("warn") as live:
        assert (await live.turn()).outcome == "completed"
        windows = [window for quota in live.host.of(Quota) for window in quota.windows]
        assert any(80 <= window.used_percent < 100 for window in windows), windows
        assert all(window.resets_at for window in windows)


async def survives_big_output(stage: Stage) -> None:
    """A flood of output arrives, cut with a marker where it must be, and the session goes on."""
    async with stage.session("flood") as live:
        assert (await live.turn()).outcome == "completed"
        assert live.host.of(TurnEnded)[0].summary


def fails(scenario: str, *kinds: ErrorKind) -> Callable[[Stage], Awaitable[None]]:
    """The contract that `scenario` ends as a typed failure, or is survived where case says so."""

    async def contract(stage: Stage) -> None:
        expected = stage.case.fails_as.get(scenario, set(kinds))
        async with stage.session(scenario) as live:
            ended = await live.turn()
            if scenario in stage.case.recovers and ended.outcome == "completed":
                assert ended.summary
                return
            assert ended.outcome == "failed", ended
            assert ended.error in expected, (ended, live.host.of(Failed))
            assert [failure.error for failure in live.host.of(Failed)] == [ended.error]
            assert live.host.of(Failed)[0].message
            assert live.host.exit is None, "the session is still usable after a failed turn"

    contract.__doc__ = f"The scenario {scenario} ends as {' or '.join(kinds)}, never as success."
    return contract


def recovers(scenario: str) -> Callable[[Stage], Awaitable[None]]:
    """The contract that a passing trouble is shown as Retrying and then survived."""

    async def contract(stage: Stage) -> None:
        async with stage.session(scenario) as live:
            assert (await live.turn()).outcome == "completed"
            assert not live.host.of(Failed)
            if scenario != "sse_errorx1":  # some clients fall back to another request silently
                assert live.host.of(Retrying)

    contract.__doc__ = f"The scenario {scenario} is survived by backing off."
    return contract
