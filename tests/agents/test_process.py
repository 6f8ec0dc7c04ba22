"""Real programs held by their pipes."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from agents.errors import AgentError, AgentNotFound, CommandRefused, VendorError
from agents.process import LineFramer, LineProcess


class Program:
    """A started Python program and what it said."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.stderr: list[str] = []
        self.codes: list[int] = []
        self.ended = asyncio.Event()
        self.spoke = asyncio.Event()

    async def start(self, code: str, cwd: Path) -> LineProcess:
        return await LineProcess.start(
            [sys.executable, "-u", "-c", code],
            cwd=str(cwd),
            env={"PATH": os.environ["PATH"], "ONLY": "this"},
            on_line=self._line,
            on_stderr=self.stderr.append,
            on_exit=self._exit,
        )

    def _line(self, line: bytes) -> None:
        self.lines.append(line)
        self.spoke.set()

    def _exit(self, code: int) -> None:
        self.codes.append(code)
        self.ended.set()

    async def end(self) -> None:
        await asyncio.wait_for(self.ended.wait(), 20)


@pytest.fixture
def program() -> Program:
    return Program()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(5):
        while alive(pid):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_it_echoes_lines_and_gives_the_exit_code(program: Program, tmp_path: Path) -> None:
    code = "import sys\nfor line in sys.stdin: print('got', line, end='')\nsys.exit(7)"
    process = await program.start(code, tmp_path)
    await process.write_line(b"one\n")
    await process.write_line(b"two")
    assert await process.close() == 7
    assert program.lines == [b"got one", b"got two"]
    assert program.codes == [7]


async def test_its_environment_and_directory_are_what_was_given(
    program: Program, tmp_path: Path
) -> None:
    code = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'})); print(os.getcwd())"
    process = await program.start(code, tmp_path)
    await program.end()
    assert program.lines == [b"['ONLY', 'PATH']", str(tmp_path).encode()]
    assert await process.close() == 0


async def test_a_line_of_20_mb_arrives_whole(program: Program, tmp_path: Path) -> None:
    await program.start("print('x' * 20_000_000); print('after')", tmp_path)
    await program.end()
    assert [len(line) for line in program.lines] == [20_000_000, 5]


async def test_torn_and_broken_lines_are_delivered(program: Program, tmp_path: Path) -> None:
    code = r"import os; os.write(1, b'\n\xff\xfe\r\n\ntorn')"
    await program.start(code, tmp_path)
    await program.end()
    assert program.lines == [b"\xff\xfe\r", b"torn"]


async def test_stderr_comes_by_lines_and_its_tail_is_kept(program: Program, tmp_path: Path) -> None:
    code = "import sys\nfor n in range(20_000): print('line', n, file=sys.stderr)"
    process = await program.start(code, tmp_path)
    await program.end()
    assert len(program.stderr) == 20_000
    assert process.stderr_tail.endswith("line 19999\n")
    assert len(process.stderr_tail) == 65_536


async def test_a_big_line_reaches_a_program_that_reads_slowly(
    program: Program, tmp_path: Path
) -> None:
    code = "import sys, time\ntime.sleep(0.3)\nprint(len(sys.stdin.readline()))"
    process = await program.start(code, tmp_path)
    await process.write_line(b"y" * 3_000_000)
    await program.end()
    assert program.lines == [b"3000001"]


async def test_a_program_that_does_not_read_is_reported(program: Program, tmp_path: Path) -> None:
    process = await program.start("import time; time.sleep(60)", tmp_path)
    with pytest.raises(VendorError, match="did not read its input"):
        await process.write_line(b"y" * 3_000_000, timeout_seconds=0.3)
    with pytest.raises(VendorError, match="did not read its input"):
        await process.write_line(b"short", timeout_seconds=0.1)
    assert await process.close(grace_seconds=0.2) == -signal.SIGTERM


async def test_writing_to_an_ended_program_is_reported(program: Program, tmp_path: Path) -> None:
    process = await program.start("pass", tmp_path)
    await program.end()
    with pytest.raises(VendorError, match="has ended"):
        await process.write_line(b"hello")
    assert await process.close() == 0


async def test_close_goes_from_eof_to_kill(program: Program, tmp_path: Path) -> None:
    code = (
        "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: print('no'))\n"
        "print('ready')\nwhile True: time.sleep(60)"
    )
    process = await program.start(code, tmp_path)
    await asyncio.wait_for(program.spoke.wait(), 20)
    began = time.monotonic()
    assert await process.close(grace_seconds=0.3) == -signal.SIGKILL
    assert time.monotonic() - began < 3
    assert program.lines == [b"ready", b"no"]
    assert program.codes == [-signal.SIGKILL]


async def test_close_may_be_cancelled_and_called_again(program: Program, tmp_path: Path) -> None:
    code = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint(1)\ntime.sleep(60)"
    process = await program.start(code, tmp_path)
    await asyncio.wait_for(program.spoke.wait(), 20)
    first = asyncio.create_task(process.close(grace_seconds=0.3))
    await asyncio.sleep(0)
    first.cancel()
    codes = await asyncio.gather(process.close(), process.close())
    assert codes == [-signal.SIGKILL] * 2
    assert program.codes == [-signal.SIGKILL]


async def test_children_in_its_group_end_with_it(program: Program, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid)\nsys.stdin.read()"
    )
    process = await program.start(code, tmp_path)
    await asyncio.wait_for(program.spoke.wait(), 20)
    child = int(program.lines[0])
    assert alive(child)
    assert await process.close() == 0
    await until_gone(child)


async def test_a_killed_programs_children_end_and_it_is_told_once(
    program: Program, tmp_path: Path
) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\nsys.stdin.read()"
    )
    process = await program.start(code, tmp_path)
    await asyncio.wait_for(program.spoke.wait(), 20)
    os.kill(process.pid, signal.SIGKILL)
    await program.end()
    await until_gone(int(program.lines[0]))
    assert program.codes == [-signal.SIGKILL]


async def test_an_escaped_child_that_holds_the_pipe_does_not_hold_us(
    program: Program, tmp_path: Path
) -> None:
    code = (
        "import subprocess, sys\n"
        "code = 'import time; time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-c', code], start_new_session=True)\n"
        "print(child.pid, flush=True)"
    )
    await program.start(code, tmp_path)
    began = time.monotonic()
    await program.end()
    assert time.monotonic() - began < 10
    assert program.codes == [0]
    os.kill(int(program.lines[0]), signal.SIGKILL)


async def test_what_cannot_start_says_so(tmp_path: Path) -> None:
    silent = {"on_line": print, "on_stderr": print, "on_exit": print}
    with pytest.raises(AgentNotFound, match="no-such-program"):
        await LineProcess.start(["no-such-program"], cwd=str(tmp_path), env={}, **silent)
    with pytest.raises(AgentNotFound, match="Permission denied"):
        await LineProcess.start([str(tmp_path)], cwd=str(tmp_path), env={}, **silent)
    with pytest.raises(CommandRefused, match="restore the worktree"):
        await LineProcess.start(["true"], cwd=str(tmp_path / "gone"), env={}, **silent)
    with pytest.raises(AgentError, match="did not start"):
        await LineProcess.start(["/bin/true", "x" * 200_000], cwd=str(tmp_path), env={}, **silent)


def test_the_framer_cuts_what_is_too_long() -> None:
    framer = LineFramer(limit=5)
    assert framer.push(b"abc") == []
    assert framer.push(b"defgh\nok\n12345\n123456") == [
        b"abcde [line cut: 3 more bytes]",
        b"ok",
        b"12345",
    ]
    assert framer.flush() == [b"12345 [line cut: 1 more bytes]"]
    assert framer.flush() == []
