"""The vendors' real programs play the happy scenario to a commit, with no key and no network."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.rehearsal.server import RehearsalServer

EDITS = """title = "Edits, in two turns"
match = ["Edit the file"]
[[turns]]
[[turns.steps]]
calls = [
  { tool = "edit", path = "README.md", old = "two\\n", new = "zwei\\n" },
  { tool = "edit", path = "README.md", old = "three", new = "drei\\nvier" },
  { tool = "write", path = "deep er/new.py", content = "print('\\"$HOME\\"')\\n\\n\\nx = 1\\n" },
  { tool = "bash", command = "git add -A && git commit -qm Edited" },
]
[[turns.steps]]
say = "Edited."
[[turns]]
[[turns.steps]]
say = "I was asked: {prompt}"
"""
CODEX_CONFIG = """model = "{model}"
model_provider = "rehearsal"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[analytics]
enabled = false
[features]
plugins = false
[model_providers.rehearsal]
name = "Rehearsal"
base_url = "{url}"
wire_api = "responses"
env_key = "REHEARSAL_KEY"
request_max_retries = 1
stream_max_retries = 1
"""


def run(command: list[str | Path], cwd: Path, home: Path, **more: str) -> list[dict[str, Any]]:
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def log(cwd: Path) -> str:
    command = ["git", "log", "--format=%s", "--name-only"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def edits(tmp_path: Path) -> Iterator[RehearsalServer]:
    """A server that plays EDITS to the prompt that asks for it."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "edits.toml").write_text(EDITS, "utf-8")
    with RehearsalServer(folder) as server:
        yield server


def claude(
    binary: Path, arguments: list[str], cwd: Path, home: Path, **more: str
) -> list[dict[str, Any]]:
    flags = ["--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"]
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    own = {"IS_SANDBOX": "1", "CLAUDE_CONFIG_DIR": str(home / "config")}
    return run([binary, "-p", *arguments, *flags], cwd, home, **quiet, **own, **more)


@pytest.mark.parametrize("secret", ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"])
def test_claude_code_writes_and_commits(
    rehearsal: RehearsalServer,
    claude_binary: Path,
    git_worktree: Path,
    tmp_path: Path,
    secret: str,
) -> None:
    key = "sk-ant-dummy" if secret == "ANTHROPIC_API_KEY" else "sk-ant-oat01-dummy"
    url = rehearsal.anthropic_url("happy")
    login = {"ANTHROPIC_BASE_URL": url, secret: key}
    events = claude(claude_binary, ["Do the task"], git_worktree, tmp_path, **login)
    assert events[-1]["result"] == "All done: wrote hello.txt and committed it."
    assert events[-1]["usage"]["output_tokens"] == 63 + 63 + 12
    assert "Add hello.txt" in log(git_worktree)
    limits = [event for event in events if event["type"] == "rate_limit_event"]
    if secret == "CLAUDE_CODE_OAUTH_TOKEN":
        windows = limits[-1]["rate_limit_info"]["unifiedWindows"]
        assert windows["five_hour"]["utilization"] == 0.31


def edited(cwd: Path) -> bool:
    new = (cwd / "deep er" / "new.py").read_text("utf-8")
    return (
        (cwd / "README.md").read_text("utf-8") == "one\nzwei\ndrei\nvier\n"
        and new == "print('\"$HOME\"')\n\n\nx = 1\n"
        and "Edited" in log(cwd)
    )


def test_claude_code_edits_exactly_and_resumes(
    edits: RehearsalServer, claude_binary: Path, git_worktree: Path, tmp_path: Path
) -> None:
    login = {"ANTHROPIC_BASE_URL": edits.anthropic_url(), "ANTHROPIC_API_KEY": "sk-ant-dummy"}
    events = claude(claude_binary, ["Edit the file"], git_worktree, tmp_path, **login)
    assert edited(git_worktree)
    again = ["Go on", "--resume", events[0]["session_id"]]
    events = claude(claude_binary, again, git_worktree, tmp_path, **login)
    assert events[-1]["result"] == "I was asked: Go on"


@pytest.fixture
def codex_home() -> Iterator[Path]:
    """Codex refuses a home below the temporary directory for its sandbox, so not there."""
    base = Path.home() / ".cache" / "quarterdeck-tests"
    base.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=base))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("model", ["an-unknown-model", "gpt-6.1-sol"])
def test_codex_writes_and_commits(
    rehearsal: RehearsalServer,
    codex_binary: Path,
    git_worktree: Path,
    codex_home: Path,
    tmp_path: Path,
    model: str,
) -> None:
    config = CODEX_CONFIG.format(model=model, url=rehearsal.openai_url("happy"))
    (codex_home / "config.toml").write_text(config, "utf-8")
    secrets = {"CODEX_HOME": str(codex_home), "REHEARSAL_KEY": "dummy"}
    events = run([codex_binary, "exec", "--json", "Do the task"], git_worktree, tmp_path, **secrets)
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    assert items[-1]["text"] == "All done: wrote hello.txt and committed it."
    assert [item["type"] for item in items if "change" in item["type"]] == ["file_change"]
    assert events[-1]["usage"]["output_tokens"] == 63 + 63 + 12
    assert "Add hello.txt" in log(git_worktree)


@pytest.mark.parametrize("model", ["an-unknown-model", "gpt-6.1-sol"])
def test_codex_edits_exactly_and_resumes(
    edits: RehearsalServer,
    codex_binary: Path,
    git_worktree: Path,
    codex_home: Path,
    tmp_path: Path,
    model: str,
) -> None:
    config = CODEX_CONFIG.format(model=model, url=edits.openai_url())
    (codex_home / "config.toml").write_text(config, "utf-8")
    secrets = {"CODEX_HOME": str(codex_home), "REHEARSAL_KEY": "dummy"}
    command: list[str | Path] = [codex_binary, "exec", "--json"]
    events = run([*command, "Edit the file"], git_worktree, tmp_path, **secrets)
    assert edited(git_worktree)
    resume = ["resume", events[0]["thread_id"], "Go on"]
    events = run([*command, *resume], git_worktree, tmp_path, **secrets)
    assert events[-2]["item"]["text"] == "I was asked: Go on"
