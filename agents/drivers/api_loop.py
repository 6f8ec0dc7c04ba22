"""The agent loop over a plain model API: call the model, run its tools, until it has no more calls.

Owns turns, steering, permission, retries and what survives a crash. A vendor's protocol is behind
`Model`; the tools run in the sandbox behind `Toolbox`. The conversation is saved after each step.
"""

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress

from agents.base import Host
from agents.drivers.api_conversation import Conversation, ConversationFile
from agents.drivers.api_errors import ModelError
from agents.drivers.api_model import Call, Model, Sink, Step
from agents.drivers.api_prompt import instructions
from agents.drivers.api_settings import Settings
from agents.errors import CommandRefused, VendorError
from agents.events import (
    Decision,
    Failed,
    Notice,
    Outcome,
    PermissionRequested,
    PermissionResolved,
    Retrying,
    SessionStarted,
    ToolCall,
    ToolOutput,
    ToolResult,
    TurnEnded,
    TurnStarted,
)
from agents.tools import Allowed, ToolAnswer, Toolbox, kind, title

INTERRUPT_SECONDS = 5.0
CLOSE_SECONDS = 5.0
_PASSING = ("throttle", "overloaded", "network")
_CUT_OFF = "This call was interrupted before it finished; check what it had done."


class ApiConnection:
    """A `Connection` whose agent is our own loop. `connect(host, conversation_id)` may be slow."""

    def __init__(self, host: Host, driver: str, connect: Callable[[Host, str], Model]) -> None:
        self._host, self._driver, self._connect = host, driver, connect
        self._tools = Toolbox(host)
        self._allowed = Allowed()
        self._question: tuple[str, asyncio.Future[tuple[Decision, str]]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._busy = self._interrupting = self._started = self._closed = False
        self._model: Model

    async def start(self) -> None:
        """Load or begin the conversation, start the tools; raises AgentError."""
        spec = self._host.spec
        self._settings = Settings.of(spec.env)
        self._file = ConversationFile(spec.home, spec.resume or uuid.uuid4().hex)
        if spec.resume:
            self._conversation = self._file.load(self._driver)
        else:
            self._conversation = Conversation(self._file.conversation_id, self._driver)
        conversation_id = self._conversation.conversation_id
        self._model = await asyncio.to_thread(self._connect, self._host, conversation_id)
        await self._tools.start()
        self._instructions = await instructions(spec, self._tools)
        self._mend()
        self._save()
        self._started = True
        self._host.emit(
            SessionStarted(
                conversation_id,
                model=self._model.name,
                driver=self._driver,
                version=self._model.version,
                pid=self._tools.pid,
                resumed=bool(spec.resume),
            )
        )

    async def say(self, text: str, message_id: str) -> bool:
        """Start a turn; during one, the words go along with the next tool results (True)."""
        del message_id
        if not self._started or self._closed:
            raise CommandRefused("The session is not running; start it and say it again.")
        if not text.strip():
            raise CommandRefused("The message is empty; write what the agent should do.")
        self._conversation.waiting.append(text)
        try:
            self._save()
        except VendorError:
            self._conversation.waiting.remove(text)  # refused means not delivered later either
            raise
        if self._busy:
            return True
        self._begin()
        return False

    async def interrupt(self) -> None:
        """Stop the model's stream, a running tool and an open question, within five seconds."""
        if not self._busy or self._task is None:
            return
        await asyncio.sleep(0)  # a task cancelled before its first step would end without a word
        if not self._interrupting:
            self._interrupting = self._task.cancel()
        await asyncio.wait({self._task}, timeout=INTERRUPT_SECONDS)

    async def answer(self, request_id: str, decision: Decision, message: str = "") -> None:
        """Answer the open question; raises CommandRefused when it is no longer open."""
        if self._question is None or self._question[0] != request_id:
            raise CommandRefused("That question is no longer open; nothing was answered.")
        _, future = self._question
        self._question = None
        self._host.emit(PermissionResolved(request_id, decision, message))
        future.set_result((decision, message))

    async def close(self) -> None:
        """Interrupt, end the tools, let go of the service; bounded, callable twice."""
        if self._closed:
            return
        self._closed = True
        await self.interrupt()
        await self._tools.close()
        if self._started:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._model.close(), CLOSE_SECONDS)
            self._host.ended(0)

    # One turn.

    def _begin(self) -> None:
        self._busy, self._interrupting = True, False
        turn_id = uuid.uuid4().hex
        self._host.emit(TurnStarted(turn_id))
        self._task = asyncio.create_task(self._turn(turn_id), name=f"turn-{turn_id}")

    async def _turn(self, turn_id: str) -> None:
        try:
            ended = await self._steps(turn_id)
        except asyncio.CancelledError:  # only `interrupt` cancels this task
            self._settle("[Request interrupted by user]")
            ended = TurnEnded(turn_id, "interrupted")
        except VendorError as error:
            ended = self._failed(turn_id, error)
        except Exception as error:  # ours to mend, but the session must not fall silent
            told = VendorError("crashed", f"The agent loop failed: {type(error).__name__}: {error}")
            ended = self._failed(turn_id, told)
        self._busy = False
        self._host.emit(ended)
        if ended.outcome == "interrupted" and self._conversation.waiting and not self._closed:
            self._begin()  # said during the turn that was interrupted, and not heard yet

    async def _steps(self, turn_id: str) -> TurnEnded:
        summary = ""
        for _ in range(self._settings.steps):
            self._deliver()
            step = await self._call_model()
            summary = step.summary or summary
            self._conversation.items.extend(step.items)
            self._save()
            for call in step.calls:
                await self._run(call, step.raw)
            if step.stop == "length":
                self._warn("The answer was cut at the model's length limit.")
            if not step.calls and not self._conversation.waiting and step.stop != "pause":
                return TurnEnded(turn_id, "completed", summary)
        self._warn(f"Stopped after {self._settings.steps} model calls in one turn; say “go on”.")
        return TurnEnded(turn_id, "interrupted", summary)

    def _failed(self, turn_id: str, error: VendorError) -> TurnEnded:
        self._settle()
        resets_at, raw = getattr(error, "resets_at", None), getattr(error, "raw", None)
        self._host.emit(Failed(error.kind, str(error), resets_at), raw)
        outcome: Outcome = "limited" if error.kind == "limit" else "failed"
        return TurnEnded(turn_id, outcome, error=error.kind, resets_at=resets_at)

    # One model call.

    async def _call_model(self) -> Step:
        """The model's next step; trouble that passes is waited out, a bounded number of times."""
        attempt = 0
        while True:
            sink = Sink(self._host)
            try:
                return await self._model.step(self._conversation.items, self._instructions, sink)
            except asyncio.CancelledError:
                if said := sink.text.strip():
                    self._model.reply(self._conversation.items, said)
                raise
            except ModelError as error:
                if error.kind not in _PASSING or attempt >= self._settings.retries:
                    raise
                attempt += 1
                await self._back_off(error, attempt)
            finally:
                sink.end_all()

    async def _back_off(self, error: ModelError, attempt: int) -> None:
        delay = error.retry_after_seconds
        if delay is None:
            delay = self._settings.delay_seconds(attempt)
        self._host.emit(
            Retrying(error.kind, str(error), attempt, self._settings.retries, round(delay, 3)),
            error.raw,
        )
        await asyncio.sleep(delay)

    # One tool call.

    async def _run(self, call: Call, raw: int | None) -> None:
        host, name = self._host, call.name
        shown = title(name, call.input)
        host.emit(ToolCall(call.call_id, name, kind(name), shown, call.input), raw)
        try:
            done = await self._do(call, raw)
        except asyncio.CancelledError:
            host.emit(ToolResult(call.call_id, "Interrupted.", is_error=True), raw)
            raise
        result = done.result or "[no output]"
        self._model.answer(self._conversation.items, call.call_id, result, done.is_error)
        self._save()
        output = "" if done.streamed else done.result
        host.emit(ToolResult(call.call_id, output, done.is_error, done.exit_code), raw)

    async def _do(self, call: Call, raw: int | None) -> ToolAnswer:
        if call.problem:
            return ToolAnswer(call.problem, True)
        if kind(call.name) == "execute" and self._host.spec.permissions == "ask":
            decision, message = await self._ask(call, raw)
            if decision == "deny":
                text = f"The human declined this command; it was not run. {message}"
                return ToolAnswer(text.strip(), True)
        return await self._tools.call(
            call.name,
            call.input,
            lambda text: self._host.emit(ToolOutput(call.call_id, text), raw),
        )

    async def _ask(self, call: Call, raw: int | None) -> tuple[Decision, str]:
        """The human's verdict, waited for as long as it takes; an interrupt withdraws it."""
        command = str(call.input.get("command", ""))
        if command in self._allowed:
            return "allow", ""
        future: asyncio.Future[tuple[Decision, str]] = asyncio.get_running_loop().create_future()
        request_id = uuid.uuid4().hex
        self._question = (request_id, future)
        self._host.emit(
            PermissionRequested(
                request_id,
                kind(call.name),
                call.name,
                title(call.name, call.input),
                call.input,
                call.call_id,
            ),
            raw,
        )
        try:
            decision, message = await future
        except asyncio.CancelledError:
            if self._question is not None:
                self._question = None
                self._host.emit(PermissionResolved(request_id, "deny", "interrupted"))
            raise
        if decision == "allow_always":
            self._allowed.remember(command)
        return decision, message

    # The conversation.

    def _deliver(self) -> None:
        """Put what the human said into the conversation, for the next model call to see."""
        for text in self._conversation.waiting:
            self._model.say(self._conversation.items, text)
        self._conversation.waiting = []
        self._save()

    def _mend(self) -> None:
        """Make the conversation one that the service takes: each call answered."""
        items = self._conversation.items
        for call_id in self._model.unanswered(items):
            self._model.answer(items, call_id, _CUT_OFF, True)

    def _settle(self, words: str = "") -> None:
        """Mend and save after a turn that did not complete; never raises."""
        self._mend()
        if words:
            self._model.say(self._conversation.items, words)
        try:
            self._save()
        except VendorError as error:
            self._host.emit(Notice(str(error), "error"))

    def _save(self) -> None:
        self._file.save(self._conversation)

    def _warn(self, text: str) -> None:
        self._host.emit(Notice(text, "warning"))
