"""What the ledger counted is what the model server sent, to the token, whatever went wrong.

The vendors' real programs and both API drivers, under the real supervisor, in real worktrees.

"Sent" is what the server told of a call's tokens. Whole calls are told whole. Of a call that broke
off, by an error, an interrupt or a dead runner, the Messages protocol told the input and its first
output token, the Responses protocol nothing: that is what can be known, and the ledger has it. What
such a call had written beyond that is known to nobody here; Claude Code's sums hold a guess at it,
which the ledger leaves out (the vendor's dollar figure, `cost_usd`, has it in).
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from agents import launch
from agents.rehearsal.counts import Tokens
from agents.rehearsal.server import RehearsalServer
from app.services import accounts, agents, tasks
from app.services.reindex import reindex
from app.services.sessions import interrupt, say
from app.store import usage
from tests.app.supervisor.conftest import Deck

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 90.0
LATE_SECONDS = 5.0
LONG = "The quick brown fox jumps over the lazy dog, again and again and again. "

SCENARIOS = {
    "retries": """title = "Trouble of every kind, then an answer"
match = ["Weather the trouble"]
tokens_per_second = 60
usage = { input_tokens = 17, cache_write_tokens = 1009, cache_read_tokens = 4001 }
[[turns]]
[[turns.steps]]
say = "I look first."
calls = [{ tool = "bash", command = "echo one > one.txt" }]
fail = "529"
fail_times = 2
[[turns.steps]]
say = "This stream breaks in its middle, and the next one does not."
calls = [{ tool = "bash", command = "git add -A && git commit -qm One" }]
fail = "BREAKS"
fail_times = 1
[[turns.steps]]
say = "This connection is cut in its middle, once, and then no more."
calls = [{ tool = "bash", command = "git log --oneline" }]
fail = "drop"
fail_times = 1
usage = { input_tokens = 3, cache_write_tokens = 0, cache_read_tokens = 9001 }
[[turns.steps]]
say = "Weathered."
""",
    # The message lands while the tool runs. In the middle of a call it would make Codex drop the
    # answer under way, which the server has told and Codex never counts.
    "steering": """title = "Its tool takes its time, so that a message lands while it works"
match = ["Listen while you work"]
[[turns]]
[[turns.steps]]
say = "Step one."
calls = [{ tool = "bash", command = "sleep 3; echo one" }]
[[turns.steps]]
say = "Step two."
calls = [{ tool = "bash", command = "echo two" }]
[[turns.steps]]
say = "Finished listening. I was told: {steer}."
""",
    "interrupted": f"""title = "Speaks slowly"
match = ["Speak slowly"]
tokens_per_second = 40
[[turns]]
[[turns.steps]]
say = "Before the speech."
calls = [{{ tool = "bash", command = "echo before" }}]
[[turns.steps]]
say = "{LONG * 12}"
[[turns]]
[[turns.steps]]
say = "Quiet now."
[[turns]]
[[turns.steps]]
say = "Quiet still."
""",
}


@dataclass(frozen=True)
class Payer:
    """A driver and how it pays; `name` is the account's and the agent's."""

    name: str
    driver: str
    auth: str
    secret: str

    @property
    def variable(self) -> str:
        return f"REHEARSED_{self.name.upper()}"


PAYERS = (
    Payer("subscriber", "claude_code", "subscription", "sk-ant-oat01-rehearsed"),
    Payer("keyholder", "claude_code", "api_key", "sk-ant-api03-rehearsed"),
    Payer("codex", "codex", "api_key", "sk-codex-rehearsed"),
    Payer("anthropic", "anthropic_api", "api_key", "sk-ant-api03-direct"),
    Payer("openai", "openai_api", "api_key", "sk-openai-direct"),
)


@pytest.fixture(params=PAYERS, ids=lambda payer: payer.name)
def payer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Payer:
    chosen: Payer = request.param
    monkeypatch.setenv(chosen.variable, chosen.secret)
    return chosen


@pytest.fixture
def rehearsal(tmp_path: Path, payer: Payer) -> Iterator[RehearsalServer]:
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    # Codex takes an overload in the middle of a stream for the end of the turn.
    breaks = "drop" if payer.driver == "codex" else "sse_error"
    for name, text in SCENARIOS.items():
        (scenarios / f"{name}.toml").write_text(text.replace("BREAKS", breaks))
    with RehearsalServer(scenarios) as server:
        yield server


@pytest.fixture
async def stage(
    fleet: Deck, payer: Payer, rehearsal: RehearsalServer, tmp_path: Path
) -> AsyncIterator[Deck]:
    """A deck whose only free agent is the payer's."""
    speaks_anthropic = payer.driver in ("claude_code", "anthropic_api")
    url = rehearsal.anthropic_url() if speaks_anthropic else rehearsal.openai_url()
    accounts.add_account(
        fleet.ctx,
        name=payer.name,
        driver=payer.driver,
        auth=payer.auth,
        secret_env=payer.variable,
        config_dir=str(tmp_path / "login") if "code" in payer.driver else "",
        base_url=url,
        is_rehearsal=True,
    )
    agents.add_agent(
        fleet.ctx,
        name=payer.name,
        driver=payer.driver,
        account=payer.name,
        model="rehearsed" if payer.driver == "codex" else "",
        permissions="auto",
    )
    fleet.bus.attach()
    await fleet.supervisor.start()
    yield fleet
    await fleet.supervisor.stop()


def add(deck: Deck, payer: Payer, prompt: str) -> int:
    task = tasks.add_task(deck.ctx, repository=None, title="", prompt=prompt, agent=payer.name)
    return task.id or 0


async def heard(deck: Deck, task_id: int, text: str) -> None:
    try:
        await deck.until(lambda: text in deck.journal(task_id), SECONDS)
    except TimeoutError:
        raise AssertionError(f"{text!r} was not heard: {deck.journal(task_id)[-4000:]}") from None


async def finished(deck: Deck, task_id: int, *, turns: int) -> None:
    """So many turns of the task are over, and are in the rows."""
    try:
        await deck.until(
            lambda: bool(deck.state(task_id)) and deck.session(task_id).turns >= turns, SECONDS
        )
    except TimeoutError:
        raise AssertionError(deck.journal(task_id)[-4000:]) from None


def ledger(deck: Deck) -> dict[str, tuple[int, ...]]:
    """By model: output, fresh input, cache write, cache read."""
    found: dict[str, tuple[int, ...]] = {}
    with deck.ctx.db.read() as db:
        for model, tokens in usage.ours(db, "model", 0, 2**31 - 1):
            counters = (tokens.output, tokens.fresh_input, tokens.cache_write, tokens.cache_read)
            found[model] = counters
    return found


def told(rehearsal: RehearsalServer, payer: Payer) -> dict[str, tuple[int, ...]]:
    """The same as the server told it: whole calls, and what was told of those that broke off."""
    found: dict[str, Tokens] = {}
    for counts in (rehearsal.counted, rehearsal.cut):
        for (secret, model), tokens in counts.items():
            assert secret == payer.secret
            found[model] = found.get(model, Tokens()).plus(tokens)
    return {model: msgspec.structs.astuple(tokens) for model, tokens in found.items()}


async def weather_retries(deck: Deck, payer: Payer) -> None:
    await finished(deck, add(deck, payer, "Weather the trouble."), turns=1)


async def steer(deck: Deck, payer: Payer) -> None:
    task_id = add(deck, payer, "Listen while you work.")
    await heard(deck, task_id, "Step one.")
    say(deck.ctx, session_id=deck.session(task_id).id, text="Mind the gap")
    await finished(deck, task_id, turns=1)
    assert "I was told: Mind the gap" in deck.journal(task_id)


async def interrupt_and_go_on(deck: Deck, payer: Payer) -> None:
    task_id = add(deck, payer, "Speak slowly.")
    await heard(deck, task_id, "fox")  # a short word: pieces cut the text anywhere
    await asyncio.to_thread(interrupt, deck.ctx, session_id=deck.session(task_id).id)
    await finished(deck, task_id, turns=1)
    assert '"outcome":"interrupted"' in deck.journal(task_id)
    say(deck.ctx, session_id=deck.session(task_id).id, text="Be quiet.")
    await finished(deck, task_id, turns=2)


async def kill_the_runner_and_go_on(deck: Deck, payer: Payer) -> None:
    task_id = add(deck, payer, "Speak slowly, and longer.")
    await heard(deck, task_id, "fox")  # a short word: pieces cut the text anywhere
    session = deck.session(task_id)
    pid = launch.holder(deck.ctx.home.session(session.id))
    assert pid is not None
    assert session.turns == 0
    os.kill(pid, signal.SIGKILL)
    await deck.until(lambda: deck.state(task_id) == "crashed", SECONDS)
    say(deck.ctx, session_id=session.id, text="Be quiet.")
    await finished(deck, task_id, turns=1)
    assert deck.session(task_id).launches == 2


async def test_the_ledger_is_what_the_server_told(
    stage: Deck, payer: Payer, rehearsal: RehearsalServer
) -> None:
    for act in (weather_retries, steer, interrupt_and_go_on, kill_the_runner_and_go_on):
        await act(stage, payer)
        with suppress(TimeoutError):  # the last tokens may be told after the turn's end
            await stage.until(lambda: ledger(stage) == told(rehearsal, payer), LATE_SECONDS)
        assert ledger(stage) == told(rehearsal, payer), act.__name__
    await asyncio.to_thread(reindex, stage.ctx)
    assert ledger(stage) == told(rehearsal, payer)
