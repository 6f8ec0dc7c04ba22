"""Claude Code, driven unmodified through its stream-json control protocol.

Owns the conversation with one process: control requests, answers, its end. How it is started is
`claude_code_program`, what its lines mean `claude_code_parse`.
"""

import asyncio
import uuid
from contextlib import suppress
from typing import Any

import msgspec

from agents.base import AccountReport, Availability, Capabilities, Endpoint, Host
from agents.drivers import claude_code_account, claude_code_carry
from agents.drivers.claude_code_parse import Parser
from agents.drivers.claude_code_program import LOGIN, arguments, availability, environment
from agents.drivers.claude_code_words import Message, clip
from agents.errors import AgentError, CommandRefused, VendorError
from agents.events import Decision, Failed, Notice, PermissionResolved, SessionStarted, TurnEnded
from agents.process import LineProcess

START_SECONDS = 110.0  # forty started together on two cores take 45 seconds
INTERRUPT_SECONDS = 4.0
HOPELESS = ("No conversation found", "is already in use", "cannot be used with root")


class ClaudeCode:
    """The driver of Claude Code."""

    id = "claude_code"
    capabilities = Capabilities(
        label="Claude Code",
        icon="Cl",
        quota=True,
        needs_binary=True,
        auths=("subscription", "api_key"),
        config_dir_env="CLAUDE_CONFIG_DIR",
        config_dir="~/.claude",
        api_key_env="ANTHROPIC_API_KEY",
        login_command=LOGIN,
        docs="https://code.claude.com/docs",
        family="claude",
        carries=True,
        plans=claude_code_account.PLANS,
        has_usage_logs=True,
        login_cache_minutes=60,
    )

    def available(self, endpoint: Endpoint, env: dict[str, str]) -> Availability:
        """Program, version and login, by the program's own commands; blocks up to 40 seconds."""
        return availability(endpoint, env)

    def read_account(self, endpoint: Endpoint, env: dict[str, str]) -> AccountReport:
        """Login, identity, plan and windows, by the program's own commands."""
        return claude_code_account.read_account(endpoint, env)

    def carry(
        self,
        conversation_id: str,
        cwd: str,  # noqa: ARG002 - the program finds a conversation from any directory
        home: str,
        source: Endpoint,
        target: Endpoint,
    ) -> bool:
        """Copy a stopped conversation's files to the other account's directory."""
        return claude_code_carry.carry(conversation_id, home, source, target)

    def connect(self, host: Host) -> "ClaudeCodeConnection":
        return ClaudeCodeConnection(host)


class ClaudeCodeConnection:
    """One `claude` process; see `agents.base.Connection` for the promises."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._parser = Parser(host.spec.cwd)
        self._process: LineProcess | None = None
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._refusals: set[asyncio.Task[None]] = set()
        self._started = self._closing = False

    async def start(self) -> None:
        """Bring the program up, or resume; VendorError quotes what it said when it did not."""
        spec = self._host.spec
        conversation = spec.resume or str(uuid.uuid4())
        self._process = await LineProcess.start(
            self._host.command(arguments(spec, conversation)),
            cwd=spec.cwd,
            env=environment(spec, self._host.environment()),
            on_line=self._on_line,
            on_stderr=lambda line: self._host.emit(Notice(clip(line, 4_000), level="warning")),
            on_exit=self._on_exit,
        )
        try:
            ready = await self._control({"subtype": "initialize"}, START_SECONDS)
        except VendorError as error:
            await self._process.close()
            raise _start_error(error, self._process.stderr_tail) from None
        self._started = True
        self._host.emit(
            SessionStarted(
                conversation,
                model=spec.model or _default_model(ready),
                driver=ClaudeCode.id,
                version=str(ready.get("claude_code_version", "")),
                pid=self._process.pid,
                resumed=bool(spec.resume),
            )
        )

    async def say(self, text: str, message_id: str) -> bool:
        """Start a turn, or add to the running one: it is read after the next tool result."""
        if self._process is None or self._process.returncode is not None:
            raise CommandRefused("The session has ended; resume it to go on.")
        steered = self._parser.turn is not None
        for event in self._parser.begin(message_id):
            self._host.emit(event)
        await self._write(
            {
                "type": "user",
                "message": {"role": "user", "content": text},
                "parent_tool_use_id": None,
                "uuid": _as_uuid(message_id),
                "client_composed": True,  # as written: a leading slash is not a command
            }
        )
        return steered

    async def interrupt(self) -> None:
        """Stop the turn and its tool; the receipt is awaited, TurnEnded follows it."""
        if self._parser.turn is not None:
            await self._control({"subtype": "interrupt"}, INTERRUPT_SECONDS)

    async def answer(self, request_id: str, decision: Decision, message: str = "") -> None:
        """Answer a question; for AskUserQuestion `message` is the answer itself."""
        request = self._parser.questions.get(request_id)
        if request is None:
            raise CommandRefused("That question is no longer open.")
        verdict = _verdict(request, decision, message)
        del self._parser.questions[request_id]
        reply = {"subtype": "success", "request_id": request_id, "response": verdict}
        await self._write({"type": "control_response", "response": reply})
        self._host.emit(PermissionResolved(request_id, decision, message))

    async def close(self) -> None:
        """Interrupt what runs, then EOF, TERM, KILL; `host.ended` is called before this returns."""
        if self._process is None:
            return
        self._closing = True
        with suppress(AgentError):  # it does not listen: the escalation follows
            await self.interrupt()
        await self._process.close()

    # -- the program's side

    def _on_line(self, line: bytes) -> None:
        raw = self._host.keep_raw(line)
        message, events = self._parser.read(line)
        for event in events:
            self._host.emit(event, raw)
        if message.get("type") == "control_response":
            reply = message.get("response") or {}
            waiting = self._replies.pop(str(reply.get("request_id")), None)
            if waiting and not waiting.done():
                waiting.set_result(reply)
        elif message.get("type") == "control_request":
            self._refuse_unknown(message)

    def _refuse_unknown(self, message: Message) -> None:
        """A request we do not serve is answered at once, so that the program does not wait."""
        if message["request_id"] in self._parser.questions:
            return
        error = f"not supported: {message.get('request', {}).get('subtype')}"
        reply = {"subtype": "error", "request_id": message["request_id"], "error": error}
        task = asyncio.create_task(self._try_write({"type": "control_response", "response": reply}))
        self._refusals.add(task)
        task.add_done_callback(self._refusals.discard)

    def _on_exit(self, code: int) -> None:
        said = self._process.stderr_tail.strip()[-2_000:] if self._process else ""
        told = f"Claude Code ended (exit code {code})" + (f": {said}" if said else ".")
        for waiting in self._replies.values():
            if not waiting.done():
                waiting.set_exception(VendorError("crashed", told))
        if not self._started and not self._closing:
            return  # start() raises it
        if not self._closing:
            self._host.emit(Failed("crashed", told))
        if (turn := self._parser.turn) is not None:
            interrupted = TurnEnded(turn, "interrupted")
            crashed = TurnEnded(turn, "failed", error="crashed")
            for event in self._parser.finish(interrupted if self._closing else crashed):
                self._host.emit(event)
        self._host.ended(code, "" if self._closing else told)

    async def _control(self, request: Message, seconds: float) -> Message:
        """The response to a control request; VendorError when refused, silent or gone."""
        request_id = uuid.uuid4().hex
        waiting = self._replies[request_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._write(
                    {"type": "control_request", "request_id": request_id, "request": request}
                )
                reply = await waiting
        except TimeoutError:
            what = f"Claude Code did not answer {request['subtype']!r} for {seconds:g} seconds."
            raise VendorError("crashed", what) from None
        finally:
            self._replies.pop(request_id, None)
            waiting.cancel()
        if reply.get("subtype") == "error":
            raise VendorError("invalid", clip(str(reply.get("error")), 4_000))
        response: Message = reply.get("response") or {}
        return response

    async def _write(self, message: Message) -> None:
        assert self._process is not None
        await self._process.write_line(msgspec.json.encode(message))

    async def _try_write(self, message: Message) -> None:
        with suppress(VendorError):  # it is gone, and its end is reported elsewhere
            await self._write(message)


def _start_error(error: VendorError, stderr: str) -> VendorError:
    """Why it did not start, in its own words; a retry of the same command would not help some."""
    said = stderr.strip()[-2_000:]
    kind = "invalid" if any(words in said for words in HOPELESS) else error.kind
    return VendorError(kind, str(error) if said in str(error) else f"{error} It said: {said}")


def _verdict(request: Message, decision: Decision, message: str) -> Message:
    """The `can_use_tool` response of a decision; CommandRefused where words are missing."""
    given: dict[str, Any] = request.get("input") or {}
    if decision == "deny":
        return {"behavior": "deny", "message": message or "The human said no to this."}
    if request["tool_name"] == "AskUserQuestion":
        if not message:
            raise CommandRefused("This is a question: answer it in words.")
        asked = [str(question["question"]) for question in given.get("questions", [])]
        lines = message.splitlines()
        if len(asked) == len(lines) or len(asked) == 1:
            words = lines if len(asked) == len(lines) else [message]
            given = {**given, "answers": dict(zip(asked, words, strict=True))}
        else:  # free words to several questions
            given = {**given, "answers": {}, "response": message}
    verdict: Message = {"behavior": "allow", "updatedInput": given}
    if decision == "allow_always":
        verdict["updatedPermissions"] = [
            {**suggestion, "destination": "session"}  # never written into the worktree's settings
            for suggestion in request.get("permission_suggestions") or []
        ]
    return verdict


def _default_model(ready: Message) -> str:
    models = ready.get("models") or [{}]
    return str(models[0].get("resolvedModel", ""))


def _as_uuid(message_id: str) -> str:
    try:
        return str(uuid.UUID(message_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, message_id))
