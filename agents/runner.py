"""One detached process per session: `python -m agents.runner SESSION_DIR`, started by `launch`.

It holds the session's lock, owns the vendor connection, appends the journal, takes commands on
the control socket and sweeps up every descendant when it ends. It needs no server to go on.
"""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from agents import reaper
from agents.base import Connection, Driver
from agents.control import Answer, ControlServer
from agents.detach import detached, lock, write_whole
from agents.errors import AgentError, CommandRefused, VendorError
from agents.events import Decision, ErrorKind, Exited, Failed, Notice, UserMessage, utc_now
from agents.host import SessionHost
from agents.journal import messages_said
from agents.launch import LOCK_HELD, Order
from agents.redact import Redactor
from agents.registry import driver as find_driver

START_SECONDS = 120.0
SAY_SECONDS = 60.0
CLOSE_SECONDS = 20.0
GRACE_SECONDS = 2.0  # between TERM and KILL for what the connection left behind
TICK_SECONDS = 1.0
_STOPPED = Exited("stopped")


class Runner:
    """One session from its start to its last record."""

    def __init__(self, directory: Path, order: Order) -> None:
        self._directory, self._spec = directory, order.spec
        self._control = ControlServer(self._command, lambda: self._host.size)
        self._host = SessionHost(
            directory, order.spec, order.secrets, self._control.grown, self._vendor_ended
        )
        self._driver: Driver | None = None
        self._connection: Connection | None = None
        self._said = messages_said(directory / "journal.ndjson")
        self._saying = asyncio.Lock()
        self._started, self._over = asyncio.Event(), asyncio.Event()
        self._end = _STOPPED

    # --- life -----------------------------------------------------------------------------------

    async def live(self, ready: Callable[[], None]) -> None:
        """Listen, call `ready`, run the session to its end, leave nothing behind."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_error)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._wind_up, _STOPPED)
        await self._control.start()
        ready()
        tasks = {self._watched(self._tick(), "tick"), self._watched(self._session(), "session")}
        await self._over.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        await self._close()
        self._control.stop_listening()  # before the last record: who reads it may start the next
        self._host.finish(self._end)
        self._write_exit()
        await self._control.close()
        self._host.close()

    def _watched(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task whose failure is the session's."""
        task = asyncio.create_task(work, name=name)

        def look(done: asyncio.Task[None]) -> None:
            if not done.cancelled():
                self._crash_of(done.exception(), name)

        task.add_done_callback(look)
        return task

    async def _session(self) -> None:
        self._driver = find_driver(self._spec.driver)
        self._connection = self._driver.connect(self._host)
        async with asyncio.timeout(START_SECONDS):
            await self._connection.start()
        if self._spec.prompt:
            prompt_id = self._spec.prompt_id or f"prompt-{self._host.status()['seq']}"
            await self._say(prompt_id, self._spec.prompt, self._spec.prompt_origin)
        self._started.set()

    async def _tick(self) -> None:
        silence_seconds = self._spec.silence_seconds
        period = min(TICK_SECONDS, silence_seconds / 4) if silence_seconds > 0 else TICK_SECONDS
        orphans: set[int] = set()
        for count in range(1, sys.maxsize):
            await asyncio.sleep(period)
            self._host.tick()
            if count % 15 == 0:
                orphans = reaper.reap_orphans(orphans)

    async def _close(self) -> None:
        """End the connection, then everything that still lives below this process."""
        if self._connection is not None:
            await self._bounded(self._connection.close())
        await self._bounded(
            asyncio.to_thread(
                reaper.kill_descendants, os.getpid(), GRACE_SECONDS, self._spec.session_id
            )
        )

    async def _bounded(self, work: Coroutine[Any, Any, object]) -> None:
        """Do some of the last work; neither its slowness nor its failure stops the rest."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await work
        except Exception as error:
            self._log(error)
            said = str(error) or f"it took more than {CLOSE_SECONDS:g} s and was cut short"
            self._host.record(Notice(f"Ending the session: {said}.", "error"))

    def _write_exit(self) -> None:
        end = msgspec.json.encode({**msgspec.to_builtins(self._end), "at": utc_now()})
        with suppress(OSError):  # a full disk: the journal's last record says the same
            write_whole(self._directory / "exit.json", self._host.redactor.mask(end))

    def _wind_up(self, end: Exited) -> None:
        if not self._over.is_set():
            self._end = end
            self._over.set()

    def _vendor_ended(self, exit_code: int | None, message: str) -> None:
        if exit_code == 0 or (exit_code is None and not message):
            self._wind_up(Exited("finished", exit_code, message))
        else:
            said = message or f"The agent's program ended with status {exit_code}."
            self._crash(said, exit_code=exit_code)

    def _crash(self, said: str, kind: ErrorKind = "crashed", exit_code: int | None = None) -> None:
        if self._over.is_set():
            return
        if not self._host.failed:
            self._host.emit(Failed(kind, said))
        self._wind_up(Exited("crashed", exit_code, said))

    def _crash_of(self, error: BaseException | None, where: str) -> None:
        match error:
            case None:
                return
            case VendorError():
                self._crash(str(error), error.kind)
            case AgentError():
                self._crash(str(error))
            case TimeoutError() if where == "session":
                self._crash(f"The agent was not ready within {START_SECONDS:g} s.")
            case _:
                self._log(error)
                self._crash(f"{type(error).__name__}: {error}")

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(context.get("message"))
        broken = isinstance(error, OSError) and ("transport" in context or "socket" in context)
        if "exception" in context and not broken:
            return self._crash_of(error, "loop")
        # A connection that broke, or a resource that was not closed: told, and survived.
        self._log(error)
        self._host.record(Notice(f"In the runner: {type(error).__name__}: {error}", "error"))
        return None

    def _log(self, error: BaseException) -> None:
        said = self._host.redactor.text("".join(traceback.format_exception(error)))
        sys.stderr.write(f"{utc_now().isoformat()} {said}\n")

    # --- commands -------------------------------------------------------------------------------

    async def _command(self, op: str, fields: Answer) -> Answer:
        if op == "status":
            return {"state": self._state(), "pid": os.getpid(), **self._host.status()}
        if op == "stop":
            self._wind_up(_STOPPED)
            return {"stopping": True}
        connection = await self._live_connection()
        try:
            return await self._act(connection, op, fields)
        except (AgentError, asyncio.CancelledError):
            raise
        except Exception as error:
            self._crash_of(error, op)
            raise CommandRefused(f"The session failed on `{op}`: {error}") from error

    async def _act(self, connection: Connection, op: str, fields: Answer) -> Answer:
        if op == "say":
            message_id, text = str(fields.get("message_id", "")), str(fields.get("text", ""))
            if not message_id or not text.strip():
                raise CommandRefused("A message needs an id and a text.")
            return await self._say(message_id, text, str(fields.get("origin", "human")))
        if op == "interrupt":
            turn = self._host.turn
            await connection.interrupt()
            return {"turn": turn}
        if op == "answer":
            return await self._answer(connection, fields)
        raise CommandRefused(f"There is no operation `{op}`.")

    def _state(self) -> str:
        if self._over.is_set():
            return "ending"
        if not self._started.is_set():
            return "starting"
        return "running" if self._host.turn else "ready"

    async def _live_connection(self) -> Connection:
        if not self._started.is_set():
            waits = [asyncio.ensure_future(e.wait()) for e in (self._started, self._over)]
            await asyncio.wait(waits, timeout=4, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        if self._over.is_set():
            raise CommandRefused("The session is ending.")
        if self._connection is None or not self._started.is_set():
            raise CommandRefused("The agent is still starting; try again in a moment.")
        return self._connection

    async def _say(self, message_id: str, text: str, origin: str) -> Answer:
        """Say it once: a message that is in the journal was said, by this runner or another."""
        async with self._saying:
            if message_id in self._said:
                return {"duplicate": True, "steered": False}
            assert self._driver is not None
            assert self._connection is not None
            # In the journal before the turn that it starts, so what `say` returns is foretold.
            steers = bool(self._host.turn) and self._driver.capabilities.steer
            fields = {"message_id": message_id, "text": text, "origin": origin, "steered": steers}
            self._host.emit(_converted(fields, UserMessage))
            self._said.add(message_id)
            try:
                async with asyncio.timeout(SAY_SECONDS):
                    steered = await self._connection.say(text, message_id)
            except (AgentError, TimeoutError) as error:
                self._said.discard(message_id)
                why = str(error) or f"the agent did not take it within {SAY_SECONDS:g} s"
                self._host.emit(Notice(f"The message did not reach the agent: {why}", "error"))
                if isinstance(error, AgentError):
                    raise
                raise CommandRefused(why) from error
            return {"duplicate": False, "steered": steered}

    async def _answer(self, connection: Connection, fields: Answer) -> Answer:
        request_id = str(fields.get("request_id", ""))
        decision = _converted(fields.get("decision"), Decision)
        if request_id not in self._host.asked:
            raise CommandRefused("Nothing waits for this answer; it may have been given already.")
        self._host.asked.discard(request_id)  # before the await: of two answers the first counts
        try:
            await connection.answer(request_id, decision, str(fields.get("message", "")))
        except AgentError:
            self._host.asked.add(request_id)
            raise
        return {}


def _converted(value: object, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise CommandRefused(f"The command was not understood: {error}.") from error


def _run(directory: Path, order: Order, ready: Callable[[int], None]) -> int:
    held = lock(directory)
    if held is None:
        ready(LOCK_HELD)
        return LOCK_HELD
    reaper.own_children()
    os.chdir(directory)
    (directory / "exit.json").unlink(missing_ok=True)
    identity = reaper.identify(os.getpid(), utc_now().isoformat())
    spec = Redactor(order.secrets.values()).mask(msgspec.json.encode(order.spec))
    write_whole(directory / "spec.json", spec)
    write_whole(directory / "run.json", msgspec.json.encode(identity))
    asyncio.run(Runner(directory, order).live(lambda: ready(0)))
    os.close(held)
    return 0


def main(arguments: list[str]) -> int:
    """Start the runner detached; 0 once it listens, 75 where another holds the lock."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    directory = Path(arguments[0]).resolve()
    return detached(lambda ready: _run(directory, order, ready))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
