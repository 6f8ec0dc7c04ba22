"""A driver that plays a script instead of asking a model: for tests and the fleet benchmark.

A prompt is a JSON object whose keys say what the turn does, in this order: `spawn_orphan`,
`run` (a shell command, boxed), `events` (tagged events as they stand in a journal), `ask` (a
permission), `rate` with `seconds` and `text_bytes` (a stream of mixed events), `hang`, `crash`,
`fail` (an error kind), `bug`. It may stand below a title, as the last paragraph. Any other prompt
is answered with its own words.
"""

import asyncio
import itertools
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from agents.base import AccountReport, Availability, Capabilities, Endpoint, Host
from agents.errors import CommandRefused
from agents.events import (
    Decision,
    ErrorKind,
    Event,
    Failed,
    Outcome,
    PermissionRequested,
    PermissionResolved,
    Quota,
    QuotaWindow,
    SessionStarted,
    Text,
    ToolCall,
    ToolOutput,
    ToolResult,
    TurnEnded,
    TurnStarted,
    Usage,
    utc_now,
)

MODEL = "scripted"
_RUN_SECONDS = 60.0
_CLOSE_SECONDS = 5.0
# A child that leaves its group and its parent, as a careless dev server does.
_ORPHAN = "(setsid sh -c 'echo $$ > orphan.pid; exec sleep 3600' >/dev/null 2>&1 &) ; sleep 3600"


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """One turn, as the prompt's JSON gives it."""

    spawn_orphan: bool = False
    run: str = ""
    events: list[Event] = []
    ask: str = ""
    rate: float = 0.0  # records per second
    seconds: float = 0.0
    text_bytes: int = 200
    hang: bool = False
    crash: bool = False
    fail: ErrorKind | None = None
    bug: bool = False
    say: str = ""


class ScriptedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What `account.json` in the account's directory says when the account is asked."""

    logged_in: bool | None = None
    identity: str = ""
    plan: str = ""
    windows: list[QuotaWindow] | None = None
    credits: str = ""
    problem: str = ""
    hang_seconds: float = 0.0


class Scripted:
    """The driver; it needs no login, no network and no program."""

    id = "scripted"
    capabilities = Capabilities(
        label="Scripted", icon="SC", auths=("none",), default_model=MODEL, family="scripted"
    )

    def available(self, endpoint: Endpoint, env: dict[str, str]) -> Availability:  # noqa: ARG002
        return Availability(True, version="1")

    def read_account(self, endpoint: Endpoint, env: dict[str, str]) -> AccountReport:  # noqa: ARG002
        """What `account.json` says; without one nothing is told."""
        path = Path(endpoint.config_dir or "/nonexistent", "account.json")
        try:
            said = msgspec.json.decode(path.read_bytes(), type=ScriptedAccount)
        except (OSError, msgspec.DecodeError):
            return AccountReport(logged_in=None)
        time.sleep(min(said.hang_seconds, 30.0))
        return AccountReport(
            logged_in=said.logged_in,
            identity=said.identity,
            plan=said.plan,
            quota=None if said.windows is None else Quota(said.windows, source="account.json"),
            credits=said.credits,
            problem=said.problem,
        )

    def carry(self, *_: object, **__: object) -> bool:
        """Never: a script remembers nothing."""
        return False

    def connect(self, host: Host) -> "ScriptedConnection":
        return ScriptedConnection(host)


class ScriptedConnection:
    """Plays one script at a time; a message during a turn is answered inside it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._turn: asyncio.Task[None] | None = None
        self._turn_id = ""
        self._ids = itertools.count(1)
        self._answers: dict[str, asyncio.Future[Decision]] = {}
        self._children: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        resume = self._host.spec.resume
        conversation = resume or f"scripted-{self._host.spec.session_id}"
        self._emit(SessionStarted(conversation, MODEL, "scripted", "1", resumed=bool(resume)))

    async def say(self, text: str, message_id: str) -> bool:  # noqa: ARG002
        if self._turn is not None and not self._turn.done():
            self._emit(Text(self._next("m"), f"Heard: {text}", final=True))
            return True
        self._turn_id = self._next("t")
        self._emit(TurnStarted(self._turn_id))
        self._turn = asyncio.create_task(self._play(_script(text)), name="turn")
        self._turn.add_done_callback(_raise_bug)
        return False

    async def interrupt(self) -> None:
        if self._turn is not None and not self._turn.done():
            await self._stop_turn()
            self._emit(TurnEnded(self._turn_id, "interrupted"))

    async def answer(self, request_id: str, decision: Decision, message: str = "") -> None:
        waiting = self._answers.pop(request_id, None)
        if waiting is None or waiting.done():
            raise CommandRefused("No such question is open.")
        self._emit(PermissionResolved(request_id, decision, message))
        waiting.set_result(decision)

    async def close(self) -> None:
        await self._stop_turn()
        for child in self._children:
            await _end(child)

    async def _stop_turn(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.cancel()
            await asyncio.wait({self._turn}, timeout=_CLOSE_SECONDS)

    async def _play(self, script: Script) -> None:
        if script.spawn_orphan:
            self._children.append(await self._spawn(_ORPHAN))
        if script.run:
            await self._run(script.run)
        for event in script.events:
            self._emit(event)
        if script.ask:
            await self._ask(script.ask)
        if script.rate:
            await self._stream(script)
        if script.hang:
            await asyncio.Event().wait()
        if script.bug:
            raise RuntimeError("the script asked for a bug")
        if script.say:
            self._emit(Text(self._next("m"), script.say, final=True))
        self._finish(script)

    def _finish(self, script: Script) -> None:
        error: ErrorKind | None = "crashed" if script.crash else script.fail
        if error is None:
            return self._emit(TurnEnded(self._turn_id, "completed", script.say))
        self._emit(Failed(error, f"The script asked for the failure `{error}`."))
        outcome: Outcome = "limited" if error == "limit" else "failed"
        self._emit(TurnEnded(self._turn_id, outcome, error=error))
        if script.crash:
            self._host.ended(1, "The script asked for a crash.")
        return None

    async def _ask(self, title: str) -> None:
        request_id = self._next("q")
        answered: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answered
        self._emit(PermissionRequested(request_id, "execute", "bash", title, {"command": title}))
        decision = await answered  # a human's time; interrupt and close cancel it
        self._emit(Text(self._next("m"), f"The answer was {decision}.", final=True))

    async def _run(self, command: str) -> None:
        call_id = self._next("c")
        self._emit(ToolCall(call_id, "bash", "execute", command, {"command": command}))
        child = await self._spawn(command)
        try:
            async with asyncio.timeout(_RUN_SECONDS):
                output, _ = await child.communicate()
        except BaseException:
            await _end(child)
            raise
        self._emit(ToolOutput(call_id, output.decode("utf-8", "replace")))
        code = child.returncode
        self._emit(ToolResult(call_id, is_error=code != 0, exit_code=code))

    async def _spawn(self, command: str) -> asyncio.subprocess.Process:
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *self._host.command(["/bin/sh", "-c", command]),
                cwd=self._host.spec.cwd,
                env=self._host.environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:  # a child half started would be nobody's
            await _end(await starting)
            raise

    async def _stream(self, script: Script) -> None:
        """`rate` records a second, each on its own beat, so that lateness does not add up."""
        start = time.monotonic()
        for number in range(int(script.rate * script.seconds)):
            await asyncio.sleep(max(0.0, start + number / script.rate - time.monotonic()))
            self._emit(self._beat(number, script.text_bytes))

    def _beat(self, number: int, text_bytes: int) -> Event:
        """Of ten records six are text, three a tool call, one usage, as in a working turn."""
        call_id = f"{self._turn_id}-c{number // 10}"
        stamp = f"{number} {utc_now().isoformat()} "
        match number % 10:
            case 4:
                return ToolCall(
                    call_id, "bash", "execute", f"pytest {stamp}", {"command": "pytest"}
                )
            case 5:
                return ToolOutput(call_id, stamp + "." * max(0, text_bytes - len(stamp)))
            case 6:
                return ToolResult(call_id, exit_code=0)
            case 9:
                return Usage(MODEL, text_bytes, 10, 100, 20_000)
            case _:
                words = "the quick brown fox " * (text_bytes // 20 + 1)
                text = (stamp + words)[:text_bytes]
                return Text(f"{self._turn_id}-m{number}", text, final=True)

    def _emit(self, event: Event) -> None:
        self._host.emit(event, self._host.keep_raw(msgspec.json.encode(event)))

    def _next(self, prefix: str) -> str:
        # Unique over the lives of a resumed session too.
        return f"{prefix}{next(self._ids)}-{time.time_ns()}"


def _script(text: str) -> Script:
    try:
        return msgspec.json.decode(text.rpartition("\n\n")[2], type=Script)
    except msgspec.DecodeError:
        return Script(say=text)


def _raise_bug(turn: asyncio.Task[None]) -> None:
    """Hand a bug to the loop's handler now, not when the task is collected."""
    if not turn.cancelled() and (error := turn.exception()) is not None:
        turn.get_loop().call_exception_handler({"message": "turn", "exception": error})


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await child.communicate()
