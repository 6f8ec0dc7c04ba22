"""One Codex conversation: an app-server of its own, spoken to in JSON-RPC over stdio."""

import asyncio
import itertools
import re
import shutil
from contextlib import suppress

import msgspec

from agents.base import Host
from agents.drivers import codex_config as config
from agents.drivers.codex_limits import Message
from agents.drivers.codex_parse import Parser, unparsed
from agents.drivers.codex_questions import Question, asked, harmless
from agents.errors import (
    AgentError,
    AgentNotFound,
    CommandRefused,
    ProtocolError,
    VendorError,
)
from agents.events import Decision, Event, Failed, Notice, PermissionResolved, SessionStarted
from agents.process import LineProcess

START_SECONDS = 60.0  # forty started at once on two cores need forty
REQUEST_SECONDS = 20.0
MAX_STDERR_NOTICES = 50
SPOKEN = "a release between 0.160 and 0.169"  # those whose protocol was read
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\S+\s+")
_NOISE = ("could not create PATH aliases", "failed to record rollout items")
# Each repeats a whole diff or says nothing we show; unsent is cheaper than ignored.
_UNWANTED = ["turn/diff/updated", "thread/readState/changed", "thread/status/changed"]


class CodexConnection:
    """The live app-server of one session; see `agents.base.Connection`."""

    def __init__(self, host: Host, binary: str) -> None:
        self._host, self._binary = host, binary
        self._parser = Parser(host.spec.cwd, host.spec.model)
        self._process: LineProcess | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._questions: dict[str, Question] = {}
        self._replies: set[asyncio.Task[None]] = set()
        self._speaking = asyncio.Lock()
        self._started = self._closing = False
        self._complaints: set[str] = set()

    async def start(self) -> None:
        spec = self._host.spec
        try:
            env = config.environment(spec, self._host.environment())
            flags = config.flags(spec)
        except OSError as error:
            raise AgentError(f"Codex's directories can't be made ready: {error}") from error
        if shutil.which(self._binary, path=env.get("PATH")) is None:
            raise AgentNotFound(
                self._binary, "install it (npm install -g @openai/codex) or name its path"
            )
        self._process = await LineProcess.start(
            self._host.command([self._binary, "app-server", *flags]),
            cwd=spec.cwd,
            env=env,
            on_line=self._on_line,
            on_stderr=self._on_stderr,
            on_exit=self._on_exit,
        )
        try:
            started = await self._open()
            if self._process.returncode is not None:
                raise VendorError("crashed", "It ended.")
        except (KeyError, TypeError) as error:
            await self.close()
            raise ProtocolError(f"Codex's greeting lacks {error}; install {SPOKEN}.") from error
        except VendorError as error:
            raise await self._start_failure(error) from error
        self._started = True
        self._host.emit(started)

    async def say(self, text: str, message_id: str) -> bool:
        words: Message = {
            "threadId": self._parser.thread_id,
            "input": [{"type": "text", "text": text}],
            "clientUserMessageId": message_id,
        }
        async with self._speaking:
            if turn := self._parser.turn_id:
                # Refused where it has just ended or takes no message: then it is a new turn.
                with suppress(_RefusedError):
                    await self._request("turn/steer", {**words, "expectedTurnId": turn})
                    return True
            answer = await self._request("turn/start", words)
            begun = str(answer.get("turn", {}).get("id", ""))
            self._emit(self._parser.begin(begun) if begun else [], None)
            return bool(begun) and begun == turn

    async def interrupt(self) -> None:
        turn = self._parser.turn_id
        if not turn:
            return
        thread = {"threadId": self._parser.thread_id}
        with suppress(_RefusedError):  # it has just ended
            await self._request("turn/interrupt", {**thread, "turnId": turn})
        # The interrupt alone leaves the turn's shell command running.
        with suppress(_RefusedError):
            await self._request("thread/backgroundTerminals/clean", thread)

    async def answer(self, request_id: str, decision: Decision, message: str = "") -> None:
        question = self._questions.pop(request_id, None)
        if question is None:
            raise CommandRefused("That question is closed: it was answered or withdrawn.")
        await self._write({"id": question.rpc_id, "result": question.result(decision)})
        self._host.emit(PermissionResolved(request_id, decision, message))
        if decision == "deny" and message and (turn := self._parser.turn_id):
            # Codex's answer has no place for words, so they follow as a message.
            told = f"The human declined that: {message}"
            params = {
                "threadId": self._parser.thread_id,
                "expectedTurnId": turn,
                "input": [{"type": "text", "text": told}],
            }
            with suppress(_RefusedError):
                await self._request("turn/steer", params)

    async def close(self) -> None:
        self._closing = True
        if self._process is not None:
            await self._process.close()

    async def _open(self) -> SessionStarted:
        """The handshake, then the thread: a new one or the resumed one."""
        spec = self._host.spec
        hello = {
            "clientInfo": {"name": "quarterdeck", "title": "Quarterdeck", "version": "1"},
            "capabilities": {"experimentalApi": True, "optOutNotificationMethods": _UNWANTED},
        }
        greeting = await self._request("initialize", hello, START_SECONDS)
        await self._write({"method": "initialized"})
        params = config.thread_params(spec)
        if spec.resume:
            params |= {"threadId": spec.resume, "excludeTurns": True}
        method = "thread/resume" if spec.resume else "thread/start"
        answer = await self._request(method, params, START_SECONDS)
        self._parser.thread_id = answer["thread"]["id"]
        self._parser.model = answer.get("model") or spec.model
        version = re.search(r"/(\d[\w.-]*)", greeting.get("userAgent", ""))
        assert self._process is not None
        return SessionStarted(
            conversation_id=self._parser.thread_id,
            model=self._parser.model,
            driver="codex",
            version=version[1] if version else "",
            pid=self._process.pid,
            resumed=bool(spec.resume),
        )

    async def _start_failure(self, error: VendorError) -> VendorError:
        """`error`, with the program's last words where it died of it."""
        assert self._process is not None
        self._closing = True
        code = await self._process.close()
        if error.kind != "crashed":
            return error
        words = _plain(self._process.stderr_tail)[-2000:] or "It said nothing."
        message = f"{self._binary} did not start: {error} (exit code {code}) {words}"
        return VendorError("crashed", message)

    async def _request(
        self, method: str, params: Message, seconds: float = REQUEST_SECONDS
    ) -> Message:
        number = next(self._ids)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            async with asyncio.timeout(seconds):
                await self._write({"id": number, "method": method, "params": params})
                return await future
        except TimeoutError:
            message = f"Codex did not answer {method} within {seconds:g} seconds."
            raise VendorError("crashed", message) from None
        finally:
            self._waiting.pop(number, None)

    async def _write(self, message: Message) -> None:
        if self._process is None:
            raise CommandRefused("The session has not started.")
        await self._process.write_line(msgspec.json.encode(message))

    def _reply(self, message: Message) -> None:
        """Answer a request from within the loop's callback."""
        task = asyncio.create_task(self._write_quietly(message), name="codex-reply")
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    async def _write_quietly(self, message: Message) -> None:
        with suppress(VendorError):  # it is gone, which `_on_exit` tells
            await self._write(message)

    def _on_line(self, line: bytes) -> None:
        raw = self._host.keep_raw(line)
        try:
            message = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = None
        if not isinstance(message, dict):
            self._host.emit(unparsed(line[:4000].decode(errors="replace")), raw)
        elif "method" not in message:
            self._on_answer(message)
        elif "id" in message:
            params = message.get("params") or {}
            self._on_question(Question(message["id"], message["method"], params), raw)
        else:
            self._on_notification(message["method"], message.get("params") or {}, raw)

    def _on_answer(self, message: Message) -> None:
        future = self._waiting.get(message.get("id", -1))
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(_RefusedError("invalid", str(message["error"].get("message", ""))))
        else:
            future.set_result(message.get("result") or {})

    def _on_notification(self, method: str, params: Message, raw: int) -> None:
        if method == "serverRequest/resolved":
            self._withdraw(str(params.get("requestId")))
            return
        running = self._parser.turn_id
        events = self._parser.notification(method, params)
        if running and not self._parser.turn_id:
            for request_id in list(self._questions):
                self._withdraw(request_id)
        self._emit(events, raw)

    def _on_question(self, question: Question, raw: int) -> None:
        """Ask the human, answer what needs no human, refuse what we do not know."""
        try:
            asking = asked(question, self._parser.call)
            free = asking is not None and harmless(question, self._parser.call, self._host.spec.cwd)
        except (KeyError, TypeError, ValueError, AttributeError):
            asking, free = None, False
        if asking is None:
            refusal = {"code": -32601, "message": "Quarterdeck does not answer this request."}
            self._reply({"id": question.rpc_id, "error": refusal})
            self._host.emit(unparsed({"method": question.method, "params": question.params}), raw)
        elif free:
            self._reply({"id": question.rpc_id, "result": question.result("allow")})
        else:
            self._questions[asking.request_id] = question
            self._host.emit(asking, raw)

    def _withdraw(self, request_id: str) -> None:
        if self._questions.pop(request_id, None) is not None:
            self._host.emit(PermissionResolved(request_id, "deny", "The question was withdrawn."))

    def _emit(self, events: list[Event], raw: int | None) -> None:
        for event in events:
            self._host.emit(event, raw)

    def _on_stderr(self, line: str) -> None:
        text = _plain(line)
        fresh = text not in self._complaints and len(self._complaints) < MAX_STDERR_NOTICES
        if not text or not fresh or any(noise in text for noise in _NOISE):
            return
        self._complaints.add(text)
        if self._started:  # before, it is quoted by the failure to start
            self._host.emit(Notice(text[:2000], "warning"))

    def _on_exit(self, code: int) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(VendorError("crashed", "It ended."))
        if not self._started:
            return
        for request_id in list(self._questions):
            self._withdraw(request_id)
        if self._closing:
            self._emit(self._parser.cut_short("interrupted"), None)
            self._host.ended(code)
            return
        tail = _plain(self._process.stderr_tail)[-500:] if self._process else ""
        message = f"Codex ended by itself (exit code {code}). {tail}".strip()
        failure = Failed("crashed", message)
        self._emit(self._parser.cut_short("failed", failure), None)
        self._host.ended(code, message)


class _RefusedError(VendorError):
    """The app-server answered a request with an error."""


def _plain(text: str) -> str:
    """Without colours and time stamps."""
    lines = (_STAMP.sub("", line) for line in _ANSI.sub("", text).splitlines())
    return "\n".join(line.strip() for line in lines if line.strip())
