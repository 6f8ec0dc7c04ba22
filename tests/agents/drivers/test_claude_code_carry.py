"""A conversation of the real Claude Code that goes on under another account's directory."""

import os
from pathlib import Path

import msgspec
import pytest

from agents.base import Endpoint
from agents.events import SessionStarted
from agents.registry import driver
from agents.rehearsal.server import RehearsalServer
from agents.testing import Stage
from tests.agents.drivers.test_claude_code import SUBSCRIPTION, spec

CONVERSATION = "11111111-2222-4333-8444-555555555555"


@pytest.mark.usefixtures("claude_binary", "git_worktree")
async def test_it_is_remembered_under_another_account(
    rehearsal: RehearsalServer, tmp_path: Path
) -> None:
    stage = Stage(SUBSCRIPTION, rehearsal, tmp_path)
    async with stage.session("echo") as live:
        await live.turn("the-first-words")
        conversation = live.host.of(SessionStarted)[0].conversation_id
    given = spec(tmp_path, "echo", rehearsal)
    other = msgspec.structs.replace(given.endpoint, config_dir=str(tmp_path / "other-account"))
    carry = driver("claude_code").carry
    for _ in range(2):  # it may be repeated
        assert carry(conversation, given.cwd, given.home, given.endpoint, other)
    async with stage.session("echo", resume=conversation, endpoint=other) as live:
        assert (await live.turn("the-second-words")).outcome == "completed"
        assert live.host.of(SessionStarted)[0].conversation_id == conversation
        assert "the-first-words" in stage.requests[-1]
    assert carry(conversation, given.cwd, given.home, other, given.endpoint), "and back again"
    async with stage.session("echo", resume=conversation) as live:
        await live.turn("the-third-words")
        assert "the-second-words" in stage.requests[-1]


def write(path: Path, text: str, at: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))
    return path


def both(tmp_path: Path) -> tuple[Endpoint, Endpoint, Path, Path]:
    """Two accounts, the first the default one of the home, and where the conversation lies."""
    start = tmp_path / "home/.claude/projects/-w" / f"{CONVERSATION}.jsonl"
    end = tmp_path / "other/projects/-w" / f"{CONVERSATION}.jsonl"
    return Endpoint(), Endpoint(config_dir=str(tmp_path / "other")), start, end


def test_the_newest_copy_wins_and_what_lies_beside_goes_along(tmp_path: Path) -> None:
    source, target, start, end = both(tmp_path)
    home = str(tmp_path / "home")
    carry = driver("claude_code").carry
    assert not carry(CONVERSATION, "/w", home, source, target)
    write(start, "one\n", 1_000)
    write(start.with_suffix("") / "subagents/a.jsonl", "helper\n", 1_000)
    assert carry(CONVERSATION, "/w", home, source, target)
    assert end.read_text() == "one\n"
    assert (end.with_suffix("") / "subagents/a.jsonl").read_text() == "helper\n"
    write(end, "one\ntwo\n", 2_000)
    assert carry(CONVERSATION, "/w", home, source, target)
    assert end.read_text() == "one\ntwo\n", "an older copy does not replace a newer one"
    assert carry(CONVERSATION, "/w", home, target, source)
    assert start.read_text() == "one\ntwo\n"
    assert list(tmp_path.rglob("*.part")) == []


def test_shared_directories_and_strange_names_do_no_harm(tmp_path: Path) -> None:
    source, target, start, end = both(tmp_path)
    home = str(tmp_path / "home")
    carry = driver("claude_code").carry
    write(start, "one\n", 1_000)
    secret = write(tmp_path / "secret", "not to be copied", 1_000)
    beside = start.with_suffix("")
    beside.mkdir()
    (beside / "link").symlink_to(secret)
    assert carry(CONVERSATION, "/w", home, source, target)
    assert not (end.with_suffix("") / "link").exists()
    assert carry(CONVERSATION, "/w", home, source, source)
    for name in ("", "*", "../-w/x", "a/b", CONVERSATION + "\n"):
        assert not carry(name, "/w", home, source, target)
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "projects").symlink_to(tmp_path / "home/.claude/projects")
    assert carry(CONVERSATION, "/w", home, source, Endpoint(config_dir=str(shared)))
    assert start.read_text() == "one\n"
    (tmp_path / "file").write_text("")
    assert not carry(CONVERSATION, "/w", home, source, Endpoint(config_dir=str(tmp_path / "file")))
