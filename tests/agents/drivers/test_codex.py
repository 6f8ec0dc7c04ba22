"""The real Codex against the rehearsal server."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agents.base import Endpoint, LaunchSpec, Sandbox
from agents.conformance import CONTRACTS, Contract
from agents.drivers.codex import Codex, find_binary
from agents.drivers.codex_config import RETRIES_ENV
from agents.errors import ProtocolError, VendorError
from agents.events import (
    PermissionRequested,
    PermissionResolved,
    SessionStarted,
    ToolCall,
    ToolOutput,
    ToolResult,
    TurnStarted,
)
from agents.registry import driver
from agents.rehearsal.server import RehearsalServer
from agents.testing import DriverCase, Live, Stage

SECRET = "sk-rehearsed-canary"
pytestmark = pytest.mark.usefixtures("codex_binary", "linked_worktree")

SCENARIOS = {
    "reads": """
title = "Reads, edits, runs"
[[turns]]
[[turns.steps]]
say = "Reading."
calls = [{ tool = "bash", command = "ls && cat README.md" }]
[[turns.steps]]
say = "Editing."
calls = [{ tool = "write", path = "made.txt", content = "made\\n" }]
[[turns.steps]]
say = "Running."
calls = [{ tool = "bash", command = "touch ran.txt" }]
[[turns.steps]]
say = "Again."
calls = [{ tool = "bash", command = "touch ran.txt" }]
[[turns.steps]]
say = "Done."
""",
    "tells": """
title = "Prints its environment"
[[turns]]
[[turns.steps]]
say = "Looking."
calls = [{ tool = "bash", command = "env; echo told >&2; exit 3" }]
[[turns.steps]]
say = "Done."
""",
    "prints": """
title = "Prints a megabyte"
[[turns]]
[[turns.steps]]
say = "Printing."
calls = [{ tool = "bash", command = "yes 0123456789abcdef | head -c 1000000" }]
[[turns.steps]]
say = "Done."
""",
}


def spec(tmp: Path, scenario: str, rehearsal: RehearsalServer) -> LaunchSpec:
    """A session in the linked worktree below `tmp`, with a rehearsed key, retrying little."""
    home = tmp / "home"
    home.mkdir(exist_ok=True)
    return LaunchSpec(
        session_id="test",
        driver="codex",
        cwd=str(tmp / "worktree"),
        home=str(home),
        binary=find_binary(dict(os.environ)),
        endpoint=Endpoint(
            auth="api_key",
            base_url=rehearsal.openai_url(scenario),
            secret_env="REHEARSED_KEY",
            config_dir=str(tmp / "account"),
        ),
        env={"PATH": os.environ["PATH"], "HOME": str(home), RETRIES_ENV: "2"},
        sandbox=Sandbox(),  # the recording host boxes nothing; Codex itself then guards nothing
    )


CASE = DriverCase(
    "codex",
    spec,
    secret=SECRET,
    # "Selected model is at capacity" ends the turn at once: Codex does not try that again.
    without=frozenset({"recovers_sse_errorx1"}),
)
PROMISES = [
    pytest.param(contract, id=contract.name, marks=[pytest.mark.slow] if contract.slow else [])
    for contract in CONTRACTS
    if contract.applies(CASE)
]
BOXED = ("works", "interrupts", "resumes_after_kill", "asks_and_obeys_deny")


@pytest.fixture
def linked_worktree(git_worktree: Path) -> Path:
    """A linked worktree, as sessions have: `git_worktree` moved aside, a worktree in its place."""
    repository = git_worktree.rename(git_worktree.with_name("repository"))
    command = ["git", "worktree", "add", "--quiet", "-b", "qd/test", str(git_worktree)]
    subprocess.run(command, cwd=repository, check=True, timeout=20)
    return git_worktree


@pytest.fixture
def user_namespaces() -> None:
    """Skips where Codex's own sandbox can't start."""
    if subprocess.run(["unshare", "--user", "true"], timeout=20, check=False).returncode:
        pytest.skip("this machine allows no user namespaces")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RehearsalServer]:
    """A rehearsal server with this module's scenarios."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    for name, text in SCENARIOS.items():
        (folder / f"{name}.toml").write_text(text)
    with RehearsalServer(folder) as server:
        yield server


@pytest.mark.parametrize("contract", PROMISES)
async def test_it_keeps_the_contract(
    contract: Contract, rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    await contract.run(Stage(CASE, rehearsal, tmp_path))


@pytest.mark.usefixtures("user_namespaces")
@pytest.mark.parametrize("name", BOXED)
async def test_it_keeps_the_contract_in_its_own_sandbox(
    name: str, rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    """Without ours: commits in a linked worktree work, and nothing outlives an interrupt."""
    (contract,) = [contract for contract in CONTRACTS if contract.name == name]
    await contract.run(Stage(DriverCase("codex", unboxed_spec), rehearsal, tmp_path))


def unboxed_spec(tmp: Path, scenario: str, rehearsal: RehearsalServer) -> LaunchSpec:
    return msgspec.structs.replace(spec(tmp, scenario, rehearsal), sandbox=None)


async def test_it_works_with_a_model_that_codex_does_not_know(
    rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    async with Stage(CASE, rehearsal, tmp_path).session("happy", model="open-weights") as live:
        assert (await live.turn()).outcome == "completed"
        assert live.host.of(SessionStarted)[0].model == "open-weights"
        assert [call.tool for call in live.host.of(ToolCall)] == ["edit", "execute"]


async def test_it_hands_on_the_instructions_and_leaves_the_settings_alone(
    rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    account = tmp_path / "account"
    account.mkdir()
    (account / "config.toml").write_text("# mine\n")
    stage = Stage(CASE, rehearsal, tmp_path)
    async with stage.session("echo", instructions="persona-words") as live:
        await live.turn()
        assert "persona-words" in stage.requests[-1]
    assert (account / "config.toml").read_text() == "# mine\n"


async def test_it_does_not_count_a_resumed_conversation_again(
    rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    stage = Stage(CASE, rehearsal, tmp_path)
    async with stage.session("happy") as live:
        await live.turn()
        conversation = live.host.of(SessionStarted)[0].conversation_id
    async with stage.session("echo", resume=conversation) as live:
        assert live.tokens() == (0, 0, 0, 0)
        await live.turn("hello")
        assert 0 < live.tokens()[0] < 60


async def test_resuming_what_is_not_there_is_a_plain_error(
    rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    stage = Stage(CASE, rehearsal, tmp_path)
    unknown = "01a20545-0000-7000-8000-000000000000"
    with pytest.raises(VendorError, match=unknown) as caught:
        async with stage.session("echo", resume=unknown):
            pass
    assert caught.value.kind == "invalid"


async def test_a_program_of_another_protocol_is_a_plain_error(
    rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    program = tmp_path / "other"
    program.write_text(
        "#!/bin/sh\n"
        'read initialize; echo \'{"id":1,"result":{}}\'\n'
        'read initialized; read thread_start; echo \'{"id":2,"result":{}}\'\n'
        "cat >/dev/null\n"
    )
    program.chmod(0o755)
    with pytest.raises(ProtocolError, match="install a release"):
        async with Stage(CASE, rehearsal, tmp_path).session("echo", binary=str(program)):
            pass


async def test_it_asks_for_commands_but_not_for_reading_and_editing_the_worktree(
    own: RehearsalServer, tmp_path: Path
) -> None:
    async with Stage(CASE, own, tmp_path).session("reads", permissions="ask") as live:
        await live.say()
        asked = await live.until(PermissionRequested)
        assert (asked.title, asked.tool) == ("touch ran.txt", "execute")
        assert asked.call_id in {call.call_id for call in live.host.of(ToolCall)}
        assert (tmp_path / "worktree" / "made.txt").exists()
        assert not (tmp_path / "worktree" / "ran.txt").exists()
        await live.connection.answer(asked.request_id, "allow_always")
        assert (await live.end()).outcome == "completed"
        assert len(live.host.of(PermissionRequested)) == 1, "always means always"
        assert [row.decision for row in live.host.of(PermissionResolved)] == ["allow_always"]


async def test_a_refusal_with_words_reaches_the_agent(own: RehearsalServer, tmp_path: Path) -> None:
    stage = Stage(CASE, own, tmp_path)
    async with stage.session("reads", permissions="ask") as live:
        await live.say()
        while not await settled(live):
            await live.connection.answer(open_question(live), "deny", "use-the-other-file")
        assert any("use-the-other-file" in request for request in stage.requests)
        assert len(live.host.of(TurnStarted)) == 1
        assert not (tmp_path / "worktree" / "ran.txt").exists()


async def test_the_key_is_not_in_the_agents_environment(
    own: RehearsalServer, tmp_path: Path
) -> None:
    async with Stage(CASE, own, tmp_path).session("tells") as live:
        await live.turn()
        result = live.host.of(ToolResult)[0]
        told = "".join(piece.text for piece in live.host.of(ToolOutput)) + result.output
        assert "PATH=" in told
        assert "told" in told
        assert SECRET not in told
        assert (result.exit_code, result.is_error) == (3, True)
    assert own.requests[-1].headers["authorization"] == f"Bearer {SECRET}"


async def test_long_output_is_cut_with_a_mark(own: RehearsalServer, tmp_path: Path) -> None:
    async with Stage(CASE, own, tmp_path).session("prints") as live:
        assert (await live.turn()).outcome == "completed"
        told = "".join(piece.text for piece in live.host.of(ToolOutput))
        told += live.host.of(ToolResult)[0].output
        # The program skips pieces of so fast an output when it is short of time, the first one
        # too; how much becomes events, and that we say where we stopped, is ours to keep.
        assert told.count("0123456789abcdef\n") > 10_000
        assert 256 * 1024 <= len(told) < 257 * 1024
        assert told.count("[cut at 256 KB") == 1


def test_it_is_available_with_a_key(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SOME_KEY": SECRET}
    keyed = Endpoint(auth="api_key", secret_env="SOME_KEY")
    found = driver("codex").available(keyed, env)
    assert found.ok, found.problem
    assert found.logged_in
    assert found.version >= "0.160"
    missing = driver("codex").available(Endpoint(auth="api_key", secret_env="NO_KEY"), env)
    assert not missing.ok
    assert "NO_KEY" in missing.problem


@pytest.mark.parametrize("exists", [True, False])
def test_it_says_how_to_log_in(tmp_path: Path, exists: bool) -> None:
    account = tmp_path / "account"
    if exists:
        account.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    found = Codex().available(Endpoint(config_dir=str(account)), env)
    assert (found.ok, found.logged_in) == (False, False)
    assert f"CODEX_HOME={account} codex login" in found.problem


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        ("echo codex-cli 0.1.2", "0.1.2 is too old"),
        ("echo something else", "--version failed"),
        ("exit 1", "--version failed"),
    ],
)
def test_it_prefers_the_users_own_codex_and_judges_it(
    tmp_path: Path, says: str, problem: str
) -> None:
    program = tmp_path / "codex"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    found = Codex().available(Endpoint(auth="none"), {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (found.ok, found.binary) == (False, str(program))
    assert problem in found.problem


def open_question(live: Live) -> str:
    """The request id of the question that waits."""
    closed = {row.request_id for row in live.host.of(PermissionResolved)}
    (waiting,) = [
        row.request_id for row in live.host.of(PermissionRequested) if row.request_id not in closed
    ]
    return waiting


async def settled(live: Live) -> bool:
    """Waits for a question or the end of the turn; True where it ended."""
    questions, answers = PermissionRequested, PermissionResolved
    await live.host.wait(
        lambda host: bool(ended(live)) or len(host.of(questions)) > len(host.of(answers))
    )
    return ended(live)


def ended(live: Live) -> bool:
    return any(type(event).__name__ == "TurnEnded" for event in live.host.events)
