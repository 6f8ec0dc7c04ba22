"""The API agents' tools, through the real toolbox program."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents import toolbox
from agents.base import Endpoint, LaunchSpec
from agents.conformance.looking import gone, sleeping_below
from agents.events import Notice
from agents.testing import RecordingHost
from agents.tools import TOOLS, Allowed, ToolAnswer, Toolbox, kind, title


class Hands:
    """A toolbox over a worktree, and what its commands said."""

    def __init__(self, root: Path) -> None:
        self.root = root / "work tree ü"
        self.root.mkdir()
        spec = LaunchSpec(
            session_id="test",
            driver="test",
            cwd=str(self.root),
            home=str(root),
            endpoint=Endpoint(secret_env="THE_KEY"),
            env={"PATH": os.environ["PATH"], "HOME": str(root)},
        )
        self.host = RecordingHost(spec, root, secret="the-secret-itself")
        self.toolbox = Toolbox(self.host)
        self.pieces: list[str] = []
        self.spoke = asyncio.Event()

    async def do(self, name: str, **given: object) -> ToolAnswer:
        return await self.toolbox.call(name, given, self.hear)

    def hear(self, text: str) -> None:
        self.pieces.append(text)
        self.spoke.set()

    async def bash(self, command: str, **given: object) -> ToolAnswer:
        return await self.do("bash", command=command, **given)

    async def fails(self, name: str, **given: object) -> str:
        answer = await self.do(name, **given)
        assert answer.is_error
        return answer.result


@pytest.fixture
async def hands(tmp_path: Path) -> AsyncIterator[Hands]:
    found = Hands(tmp_path)
    await found.toolbox.start()
    yield found
    await found.toolbox.close()
    assert not found.host.of(Notice)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(5):
        while running(pid):  # noqa: ASYNC110 - not our child: nothing tells us
            await asyncio.sleep(0.02)


async def test_it_runs_a_command_in_the_worktree(hands: Hands) -> None:
    answer = await hands.bash("pwd; echo oops >&2")
    assert answer == ToolAnswer(f"{hands.root}\noops\n", False, 0, True)
    assert "".join(hands.pieces) == answer.result


async def test_it_tells_the_exit_code(hands: Hands) -> None:
    answer = await hands.bash("echo no; exit 3")
    assert (answer.result, answer.is_error, answer.exit_code) == ("no\n\n[exit code 3]", True, 3)


async def test_it_keeps_the_key_from_commands(hands: Hands) -> None:
    seen = await hands.bash("env; cat /proc/$PPID/environ")
    assert "the-secret-itself" not in seen.result
    assert "THE_KEY" not in seen.result


async def test_it_gives_commands_no_input(hands: Hands) -> None:
    assert (await hands.bash("cat; echo end")).result == "end\n"


async def test_it_streams_output_while_the_command_runs(hands: Hands) -> None:
    task = asyncio.create_task(hands.bash("echo first; read -t 30 < pipe; echo second"))
    os.mkfifo(hands.root / "pipe")
    await asyncio.wait_for(hands.spoke.wait(), 10)
    assert not task.done()
    (hands.root / "pipe").write_text("go\n")
    assert (await task).result.endswith("second\n")


async def test_it_cuts_twenty_megabytes_in_the_middle(hands: Hands) -> None:
    code = "import sys; sys.stdout.write('a' + 'x' * 20_000_000 + 'z')"
    answer = await hands.bash(f'{sys.executable} -c "{code}"')
    assert 100_000 < len(answer.result) < 100_200
    assert answer.result.startswith("ax")
    assert answer.result.endswith("xz")
    assert "[... 19900002 bytes left out" in answer.result
    assert "".join(hands.pieces) == answer.result


async def test_it_survives_a_cut_through_characters(hands: Hands) -> None:
    code = "import sys; sys.stdout.buffer.write(b'.' + 'ü'.encode() * 200_000)"
    answer = await hands.bash(f'{sys.executable} -c "{code}"')
    assert set(answer.result.partition("\n[...")[0]) == {".", "ü"}
    assert "\ufffd" not in answer.result


async def test_it_survives_bytes_that_are_no_text(hands: Hands) -> None:
    answer = await hands.bash(r"printf 'a\xff\x00b'")
    assert answer.result == "a\ufffd\ufffdb"


async def test_it_ends_the_whole_group_on_timeout(hands: Hands) -> None:
    before = time.monotonic()
    answer = await hands.bash("sleep 300 & echo $!; trap '' TERM; sleep 300", timeout_seconds=1)
    assert time.monotonic() - before < 10
    assert answer.is_error
    assert "timed out after 1 seconds" in answer.result
    await until_gone(int(answer.result.split()[0]))


async def test_it_ends_the_whole_group_on_cancel(hands: Hands) -> None:
    task = asyncio.create_task(hands.bash("sleep 300 & echo $!; wait"))
    await asyncio.wait_for(hands.spoke.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_gone(int(hands.pieces[0]))
    assert (await hands.bash("echo fine")).result == "fine\n"


async def test_it_does_not_wait_for_what_a_command_left_behind(hands: Hands) -> None:
    before = time.monotonic()
    answer = await hands.bash("sleep 300 & echo $!")
    assert time.monotonic() - before < 5
    assert answer.exit_code == 0
    await until_gone(int(answer.result))


async def test_it_ends_running_commands_when_closed(hands: Hands) -> None:
    task = asyncio.create_task(hands.bash("echo $$; sleep 300"))
    await asyncio.wait_for(hands.spoke.wait(), 10)
    await hands.toolbox.close()
    assert (await task).is_error
    await until_gone(int(hands.pieces[0]))


async def test_it_starts_again_when_the_toolbox_was_killed(hands: Hands) -> None:
    answer = await hands.bash("kill -9 $PPID; sleep 300")
    assert answer.is_error
    assert "ended" in answer.result
    assert (await hands.bash("echo back")).result == "back\n"


async def test_it_reads_lines_with_numbers(hands: Hands) -> None:
    (hands.root / "a.txt").write_text("one\ntwo\nthree")
    assert (
        await hands.do("read", path="a.txt")
    ).result == "     1\tone\n     2\ttwo\n     3\tthree"
    part = await hands.do("read", path="a.txt", offset=2, limit=1)
    assert part.result == "     2\ttwo\n[more follows: read on with offset=3]\n"
    assert (await hands.do("read", path="a.txt", offset=9)).result == "[the file has 3 lines]"


async def test_it_stops_reading_at_256_kilobytes(hands: Hands) -> None:
    (hands.root / "big").write_text("x" * 1_000_000)
    answer = await hands.do("read", path="big", plain=True)
    assert answer.result.startswith("x" * 100_000)
    assert len(answer.result) < 257 * 1024
    assert "[more follows" in answer.result


async def test_it_refuses_what_cannot_be_read(hands: Hands) -> None:
    (hands.root / "blob").write_bytes(b"\x7fELF\0\0")
    os.mkfifo(hands.root / "pipe")
    assert "binary" in await hands.fails("read", path="blob")
    assert "not a regular file" in await hands.fails("read", path="pipe")
    assert "is a directory" in await hands.fails("read", path=".")
    assert "No such file" in await hands.fails("read", path="none")
    assert "`path`" in await hands.fails("read")
    assert "`offset`" in await hands.fails("read", path="blob", offset=0)


async def test_it_refuses_paths_outside_the_worktree(hands: Hands) -> None:
    secret = hands.root.parent / "secret"
    secret.write_text("secret")
    (hands.root / "link").symlink_to(secret)
    for path in ("../secret", str(secret), "link", "a/../../secret"):
        for name, more in (
            ("read", {}),
            ("write", {"content": "x"}),
            ("edit", {"old": "s", "new": "x"}),
        ):
            assert "outside the worktree" in await hands.fails(name, path=path, **more)
    assert secret.read_text() == "secret"
    assert "git's own" in await hands.fails("write", path=".git/hooks/pre-commit", content="x")


async def test_it_writes_whole_files(hands: Hands) -> None:
    text = "ünïcode\r\n" * 3
    answer = await hands.do("write", path="deep/er/file.txt", content=text)
    assert answer.result == "Wrote 33 bytes to deep/er/file.txt (new file)."
    assert (hands.root / "deep/er/file.txt").read_bytes() == text.encode()
    assert sorted(path.name for path in (hands.root / "deep/er").iterdir()) == ["file.txt"]


async def test_it_keeps_the_mode_of_a_file(hands: Hands) -> None:
    script = hands.root / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    await hands.do("write", path="run.sh", content="#!/bin/sh\necho hi\n")
    await hands.do("edit", path="run.sh", old="hi", new="ho")
    assert (await hands.bash("./run.sh")).result == "ho\n"


async def test_it_writes_five_megabytes(hands: Hands) -> None:
    await hands.do("write", path="big.txt", content="x" * 5_000_000)
    assert (hands.root / "big.txt").stat().st_size == 5_000_000


async def test_it_edits_the_one_place(hands: Hands) -> None:
    path = hands.root / "a.py"
    path.write_bytes(b"one = 1\r\ntwo = 2\r\n")
    answer = await hands.do("edit", path="a.py", old="two = 2", new="two = 3")
    assert answer.result == "Edited a.py at line 2."
    assert path.read_bytes() == b"one = 1\r\ntwo = 3\r\n"


async def test_it_says_why_an_edit_does_not_fit(hands: Hands) -> None:
    path = hands.root / "a.py"
    path.write_text("def f():\n    return 1\n\n\ndef g():\n    return 1\n")
    assert "does not occur" in await hands.fails("edit", path="a.py", old="return 2", new="x")
    spaces = await hands.fails("edit", path="a.py", old="def g():\n  return 1", new="x")
    assert "Line 5 differs only in white space" in spaces
    twice = await hands.fails("edit", path="a.py", old="return 1", new="return 2")
    assert "occurs 2 times in a.py (lines 2, 6)" in twice
    assert "the same" in await hands.fails("edit", path="a.py", old="g", new="g")
    assert "`old`" in await hands.fails("edit", path="a.py", old="", new="g")
    assert path.read_text().count("return 1") == 2
    await hands.do("edit", path="a.py", old="return 1", new="return 2", all=True)
    assert path.read_text().count("return 2") == 2


async def test_it_answers_what_a_model_gets_wrong(hands: Hands) -> None:
    assert "no tool 'browse'" in await hands.fails("browse", url="x")
    assert "`command`" in await hands.fails("bash", command=["ls"])
    assert "`timeout_seconds`" in await hands.fails("bash", command="ls", timeout_seconds="soon")
    assert "NUL" in await hands.fails("read", path="a\0b")


def test_it_describes_each_tool_by_schema() -> None:
    for tool in TOOLS:
        properties = tool.schema["properties"]
        assert isinstance(properties, dict)
        assert tool.subject in properties
    assert [kind(name) for name in ("bash", "read", "edit", "other")] == [
        "execute",
        "read",
        "edit",
        "other",
    ]


def test_it_titles_a_call_in_one_line() -> None:
    assert title("bash", {"command": "cd x\n  make"}) == "cd x make"
    assert title("read", {"path": "a.py"}) == "a.py"
    assert title("bash", {}) == "bash"
    assert len(title("bash", {"command": "x" * 900})) == 200


@pytest.mark.parametrize(
    ("said", "asked", "is_allowed"),
    [
        ("git commit -m x", "git commit --amend", True),
        ("git commit -m x", "git push", False),
        ("git commit -m x", "git commit -m x; rm -rf ~", False),
        ("git commit -m x", "git commit -m $(rm -rf x)", False),
        ("python -m pytest -q", "python -m pytest tests/a.py", True),
        ("python -m pytest -q", "python -m http.server", False),
        ("python -c 'print(1)'", "python -c 'print(2)'", False),
        ("ls", "ls -la", True),
        ("make test | tail", "make test | tail", True),
        ("make test | tail", "make test", False),
        ("X=1 make test", "X=1 make all", False),
    ],
)
def test_it_remembers_what_is_always_allowed(said: str, asked: str, is_allowed: bool) -> None:
    allowed = Allowed()
    assert asked not in allowed
    allowed.remember(said)
    assert said in allowed
    assert (asked in allowed) is is_allowed


async def test_it_leaves_no_command_when_its_input_ends_at_once(tmp_path: Path) -> None:
    """The runner was killed right after it asked: the command is ended, or never started."""
    request = {"id": "1", "tool": "bash", "input": {"command": "exec sleep 300"}}
    for _ in range(20):
        done = await asyncio.to_thread(
            subprocess.run,
            toolbox.argv(str(tmp_path)),
            input=json.dumps(request).encode() + b"\n",
            stdout=subprocess.DEVNULL,
            timeout=20,
        )
        assert done.returncode == 0
    await gone(sleeping_below(tmp_path))
    assert not sleeping_below(tmp_path)
