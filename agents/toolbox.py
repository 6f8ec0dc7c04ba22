"""The hands of an API agent: bash, read, write and edit, run inside the session's sandbox.

A program of its own (`argv` starts it), standard library only, so that the API key can stay
with the runner. One JSON object a line. In: `{id, tool, input}` and `{op: "cancel", id}`.
Out: `{id, output}` while a command speaks, then `{id, result, is_error, exit_code}`. The end of
its input ends every command and the program.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from agents.toolbox_files import Files, Input, ToolError, number_of, text_of

OUTPUT_BYTES = 100_000  # kept of one command: half from its beginning, half from its end
TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS = 120.0, 600.0
GRACE_SECONDS = 1.0  # between TERM and KILL
DRAIN_SECONDS = 0.1  # for what is still in the pipe when the shell is gone


def argv(worktree: str) -> list[str]:
    """What to run to serve `worktree`: isolated, so that nothing in it is ever imported."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); from agents.toolbox import serve; serve()"
    root = Path(__file__).resolve().parent.parent
    return [sys.executable, "-I", "-S", "-c", code, str(root), worktree]


class Output:
    """A command's output: told piece by piece, the middle of a long one left out."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._room = OUTPUT_BYTES // 2
        self._tail = bytearray()
        self._cut = 0
        self._pieces: list[str] = []

    def add(self, chunk: bytes) -> None:
        """Take what the command said; its beginning is told at once."""
        head, rest = chunk[: self._room], chunk[self._room :]
        self._room -= len(head)
        self._say(self._decode(head))
        self._tail += rest
        over = len(self._tail) - OUTPUT_BYTES // 2
        if over > 0:
            self._cut += over
            del self._tail[:over]

    def finish(self, note: str) -> str:
        """Tell the end and `note`; the whole of what was told."""
        tail = bytes(self._tail)
        if self._cut:
            self._decode(b"", True)  # forget a character that the cut went through
            tail = tail.lstrip(bytes(range(0x80, 0xC0)))
            self._say(f"\n[... {self._cut} bytes left out; redirect long output to a file ...]\n")
        self._say(self._decode(tail, True))
        if note:
            self._say(f"\n[{note}]" if self._pieces else f"[{note}]")
        return "".join(self._pieces)

    def _say(self, text: str) -> None:
        if text:  # NUL is refused by models' services and databases alike
            self._pieces.append(text.replace("\0", "\ufffd"))
            self._tell(self._pieces[-1])


class Command:
    """One bash command in a process group of its own."""

    def __init__(self, command: str, cwd: Path) -> None:
        self._pipe, child = os.pipe()
        try:
            self._process = subprocess.Popen(
                [shutil.which("bash") or "/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=child,
                stderr=child,
                cwd=cwd,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            os.close(self._pipe)
            raise ToolError(f"The command did not start: {error}.") from None
        finally:
            os.close(child)
        # "x" from the thread that waits for the exit, "c" from who cancels: both wake the select.
        self._wake, self._waker = socket.socketpair()
        threading.Thread(target=self._wait, daemon=True).start()

    def cancel(self) -> None:
        """End the command, from any thread."""
        self._signal_loop(b"c")

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """Signal the whole group, what the shell left in the background included."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, sign)

    def run(self, timeout_seconds: float, output: Output) -> tuple[str, int | None]:
        """Feed `output` until the shell ends; why it was ended ("" by itself) and its exit code."""
        try:
            why = self._follow(timeout_seconds, output, b"xc")
            if why != "x":
                self.kill(signal.SIGTERM)
                if self._follow(GRACE_SECONDS, output, b"x") != "x":
                    self.kill()
                    self._follow(GRACE_SECONDS, output, b"x")
            self._follow(DRAIN_SECONDS, output, b"")
            return why, self._process.returncode
        finally:
            self.kill()
            os.close(self._pipe)
            self._wake.close()
            self._waker.close()

    def _wait(self) -> None:
        self._process.wait()
        self._signal_loop(b"x")

    def _signal_loop(self, what: bytes) -> None:
        with suppress(OSError):  # already over
            self._waker.send(what)

    def _follow(self, seconds: float, output: Output, until: bytes) -> str:
        """Pass output on until a wake-up in `until` (returned) or `seconds` are over ("")."""
        deadline = time.monotonic() + seconds
        watched: list[Any] = [self._pipe, self._wake] if until else [self._pipe]
        while watched and (left := deadline - time.monotonic()) > 0:
            ready = select.select(watched, [], [], left)[0]
            if self._pipe in ready:
                chunk = os.read(self._pipe, 65536)
                output.add(chunk)
                if not chunk:
                    watched.remove(self._pipe)
            if self._wake in ready and (said := self._wake.recv(1)) in until:
                return said.decode()
        return ""


class Tools:
    """The four tools over one worktree."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        files = Files(self._root)
        self._quick = {"read": files.read, "write": files.write, "edit": files.edit}
        self._running: dict[str, Command] = {}
        self._cancelled: set[str] = set()
        self._starting = threading.RLock()  # a signal may call `kill` in the middle of `kill`

    def run(self, call_id: str, tool: str, given: Input, tell: Callable[[str], None]) -> Input:
        """The final answer to one call; never raises for what a model may get wrong."""
        try:
            if tool == "bash":
                return self._bash(call_id, given, tell)
            if (done := self._quick.get(tool)) is None:
                raise ToolError(f"There is no tool {tool!r}; use bash, read, write or edit.")
            return {"result": done(given), "is_error": False, "exit_code": None}
        except ToolError as error:
            return {"result": str(error), "is_error": True, "exit_code": None}
        except OSError as error:
            text = f"{error.strerror or error}: {given.get('path', self._root)}"
            return {"result": text, "is_error": True, "exit_code": None}

    def cancel(self, call_id: str) -> None:
        """End that call's command, also where it is only about to start."""
        self._cancelled.add(call_id)
        if command := self._running.get(call_id):
            command.cancel()

    def kill(self) -> None:
        """End every command at once; none starts afterwards."""
        self._starting.acquire()  # for good: a command that is just starting is known by then
        for command in list(self._running.values()):
            command.kill()

    def _bash(self, call_id: str, given: Input, tell: Callable[[str], None]) -> Input:
        seconds = number_of(given, "timeout_seconds", TIMEOUT_SECONDS)
        seconds = min(max(seconds, 1.0), MAX_TIMEOUT_SECONDS)
        output = Output(tell)
        with self._starting:
            command = self._running[call_id] = Command(text_of(given, "command"), self._root)
        if call_id in self._cancelled:
            command.cancel()
        try:
            why, code = command.run(seconds, output)
        finally:
            del self._running[call_id]
        note = "" if code == 0 else f"exit code {code}"
        if why != "x":
            reason = "interrupted" if why == "c" else f"timed out after {seconds:g} seconds"
            note = f"{reason}: the command and all that it started were ended"
        return {"result": output.finish(note), "is_error": bool(note), "exit_code": code}


def serve() -> None:
    """Answer calls until the input ends, each in a thread of its own."""
    tools, lock = Tools(Path(sys.argv[2])), threading.Lock()

    def send(message: Input) -> None:
        line = json.dumps(message).encode() + b"\n"
        try:
            with lock:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
        except OSError:  # the runner is gone
            _leave(tools)

    def answer(request: Input) -> None:
        call_id = request["id"]
        final = tools.run(
            call_id,
            request["tool"],
            request["input"],
            lambda text: send({"id": call_id, "output": text}),
        )
        send({"id": call_id, **final})

    signal.signal(signal.SIGTERM, lambda *_: _leave(tools))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if request.get("op") == "cancel":
            tools.cancel(request["id"])
        else:
            threading.Thread(target=answer, args=(request,), daemon=True).start()
    _leave(tools)


def _leave(tools: Tools) -> None:
    tools.kill()
    os._exit(0)  # threads may be in the middle of a write to a closed pipe
