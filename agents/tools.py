"""What an API agent can do: the tools as a model sees them, and the way to the program that acts.

The program is `agents.toolbox`; it runs in the session's sandbox, without the account's key.
"""

import asyncio
import itertools
import shlex
from collections.abc import Callable
from contextlib import suppress

import msgspec

from agents import toolbox
from agents.base import Host
from agents.errors import VendorError
from agents.events import Notice, ToolKind
from agents.process import LineProcess
from agents.toolbox_files import READ_LINES

QUICK_SECONDS = 60.0  # for a file, and on top of a command's own time limit
CANCEL_SECONDS = 4.0  # for a cancelled command to be gone; an interrupt has five


class Tool(msgspec.Struct, frozen=True):
    """One tool: what the model reads (`schema` is JSON schema) and what the human sees."""

    name: str
    kind: ToolKind
    subject: str  # the input that makes the title
    description: str
    schema: dict[str, object]


def _schema(required: list[str], **properties: tuple[str, str]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {k: {"type": t, "description": d} for k, (t, d) in properties.items()},
        "required": required,
        "additionalProperties": False,
    }


_PATH = ("string", "File path, relative to the worktree.")

TOOLS = (
    Tool(
        "bash",
        "execute",
        "command",
        "Run a bash command in the worktree. Each call is a fresh shell: `cd` and variables do not "
        "carry over. Standard input is empty. Output over 100 KB loses its middle. What the "
        "command leaves in the background is ended with it.",
        _schema(
            ["command"],
            command=("string", "The command."),
            timeout_seconds=("number", "Time limit, 120 by default, 600 at most."),
        ),
    ),
    Tool(
        "read",
        "read",
        "path",
        "Read a text file. Each line is shown as its number, a tab and its text.",
        _schema(
            ["path"],
            path=_PATH,
            offset=("integer", "First line to show, from 1."),
            limit=("integer", f"How many lines, {READ_LINES} by default."),
        ),
    ),
    Tool(
        "write",
        "edit",
        "path",
        "Create a file or replace the whole of it. Missing directories are made.",
        _schema(["path", "content"], path=_PATH, content=("string", "The whole content.")),
    ),
    Tool(
        "edit",
        "edit",
        "path",
        "Replace text in a file. `old` must be copied exactly and occur once, unless `all` is set.",
        _schema(
            ["path", "old", "new"],
            path=_PATH,
            old=("string", "The text to replace, without line numbers."),
            new=("string", "The text to put there."),
            all=("boolean", "Replace every occurrence."),
        ),
    ),
)
BY_NAME = {tool.name: tool for tool in TOOLS}


def kind(name: str) -> ToolKind:
    """What sort of thing the tool of that name does."""
    return BY_NAME[name].kind if name in BY_NAME else "other"


def title(name: str, given: dict[str, object]) -> str:
    """One line for a human: the command, the path."""
    subject = given.get(BY_NAME[name].subject) if name in BY_NAME else None
    line = " ".join(str(subject or name).split())
    return line if len(line) <= 200 else f"{line[:199]}…"


class Allowed:
    """The commands that the human allowed for the rest of the session."""

    def __init__(self) -> None:
        self._exact: set[str] = set()
        self._prefixes: set[tuple[str, ...]] = set()

    def remember(self, command: str) -> None:
        """Allow `command`, and for a simple one what begins with its program and subcommand.

        `git commit -m x` allows `git commit …`, `python -m pytest -q` allows `python -m pytest …`,
        `ls -la` allows `ls -la …`; what pipes, redirects or substitutes is allowed word for word.
        """
        self._exact.add(command)
        words = _simple_words(command)
        if len(words) > 1 and not words[1].startswith("-"):
            words = words[:2]
        elif words[1:2] == ["-m"]:
            words = words[:3]
        if words:
            self._prefixes.add(tuple(words))

    def __contains__(self, command: str) -> bool:
        words = tuple(_simple_words(command))
        return command in self._exact or any(
            words[: len(prefix)] == prefix for prefix in self._prefixes
        )


def _simple_words(command: str) -> list[str]:
    """The words of a command that runs one program and nothing else, or none."""
    if set(command) & set(";&|<>()$`\n\\{}*?[]~#!"):
        return []
    with suppress(ValueError):  # an open quote
        words = shlex.split(command)
        return words if words and "=" not in words[0] else []
    return []


class ToolAnswer(msgspec.Struct, frozen=True):
    """How a call ended; `streamed` when pieces already carried `result` to the human."""

    result: str
    is_error: bool = False
    exit_code: int | None = None
    streamed: bool = False


class _Line(msgspec.Struct, frozen=True):
    id: str
    output: str | None = None
    result: str = ""
    is_error: bool = False
    exit_code: int | None = None


class _Pending:
    def __init__(self, on_output: Callable[[str], None]) -> None:
        self.on_output = on_output
        self.streamed = False
        self.answer: asyncio.Future[ToolAnswer] = asyncio.get_running_loop().create_future()


class Toolbox:
    """The running toolbox of one session; it is started again when it died."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._process: LineProcess | None = None
        self._pending: dict[str, _Pending] = {}
        self._ids = itertools.count(1)

    @property
    def pid(self) -> int:
        """The program's process id, 0 where it does not run."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start the program in the sandbox, without the key; raises AgentError."""
        spec = self._host.spec
        env = self._host.environment()
        env.pop(spec.endpoint.secret_env, None)
        process: LineProcess | None = None

        def lost(code: int) -> None:
            if process is self._process:
                self._lost(code)

        process = self._process = await LineProcess.start(
            self._host.command(toolbox.argv(spec.cwd)),
            cwd=spec.cwd,
            env=env,
            on_line=self._line,
            on_stderr=lambda text: self._host.emit(Notice(text, "warning"), None),
            on_exit=lost,
        )

    async def call(
        self, name: str, given: dict[str, object], on_output: Callable[[str], None]
    ) -> ToolAnswer:
        """Do one thing; `on_output` hears a command while it runs.

        Bounded by the tool's own time limit. Cancelling ends the command before it returns.
        """
        if self._process is None:
            await self.start()
        assert self._process is not None
        call_id = str(next(self._ids))
        pending = self._pending[call_id] = _Pending(on_output)
        try:
            request = {"id": call_id, "tool": name, "input": given}
            await self._process.write_line(msgspec.json.encode(request))
            return await asyncio.wait_for(asyncio.shield(pending.answer), _seconds(name, given))
        except asyncio.CancelledError:
            await self._cancel(call_id, pending)
            raise
        except (TimeoutError, VendorError) as error:
            await self.close()  # it hangs or is gone; the next call starts a fresh one
            why = str(error) or "The tools did not answer in time."
            return ToolAnswer(f"{why} The call's effect is unknown; try again.", True)
        finally:
            del self._pending[call_id]

    async def close(self) -> None:
        """End the program and every command it runs; bounded."""
        process, self._process = self._process, None
        if process is not None:
            await process.close(grace_seconds=1)
            self._fail_all("The tools were closed.")

    async def _cancel(self, call_id: str, pending: _Pending) -> None:
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                if self._process is not None:
                    cancel = {"op": "cancel", "id": call_id}
                    await self._process.write_line(msgspec.json.encode(cancel))
                    await asyncio.shield(pending.answer)
        except (TimeoutError, VendorError):
            await self.close()

    def _line(self, line: bytes) -> None:
        try:
            said = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError:
            self._host.emit(Notice(f"The tools said: {line[:500]!r}", "warning"), None)
            return
        pending = self._pending.get(said.id)
        if pending is None or pending.answer.done():
            return
        if said.output is not None:
            pending.streamed = True
            pending.on_output(said.output)
        else:
            pending.answer.set_result(
                ToolAnswer(said.result, said.is_error, said.exit_code, pending.streamed)
            )

    def _lost(self, code: int) -> None:
        self._process = None
        self._fail_all(f"The tools ended with exit code {code}. Try again.")

    def _fail_all(self, why: str) -> None:
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_result(ToolAnswer(why, True))


def _seconds(name: str, given: dict[str, object]) -> float:
    wanted = given.get("timeout_seconds")
    if name != "bash":
        return QUICK_SECONDS
    if not isinstance(wanted, int | float):
        wanted = toolbox.TIMEOUT_SECONDS
    return QUICK_SECONDS + min(float(wanted), toolbox.MAX_TIMEOUT_SECONDS)
