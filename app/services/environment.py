"""What a session's processes get to see: an environment built from a list, and a sandbox."""

import os
from collections.abc import Sequence
from pathlib import Path

from agents import sandbox
from agents.base import Sandbox
from app.models import Agent
from app.services.context import Context

# Nothing is inherited but these: no cloud keys, no forge tokens, not our own token.
_PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
# Where the human's toolchains live below a hidden home: readable, and holding no secrets.
_TOOLCHAINS = (
    ".pyenv",
    ".rustup",
    ".cargo/bin",
    ".nvm",
    ".volta",
    ".bun/bin",
    ".deno/bin",
    ".local/bin",
    ".local/share/uv/python",
    ".local/share/claude",
    "go/bin",
)


def email_of(name: str) -> str:
    """The address that an agent's commits carry; no mail can reach it."""
    return f"{name}@quarterdeck.invalid"


def child_environment(home: Path, name: str) -> dict[str, str]:
    """The whole environment of an agent's or a check's processes, secrets apart."""
    passed = {key: os.environ[key] for key in _PASSED if key in os.environ}
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **passed,
        "HOME": str(home),
        "TERM": "dumb",
        "NO_COLOR": "1",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email_of(name),
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email_of(name),
        "GIT_TERMINAL_PROMPT": "0",
    }


def agent_home(ctx: Context, agent: Agent) -> Path:
    """The agent's private HOME, made on first use."""
    home = ctx.home.agent(agent.name)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def is_sandboxed(ctx: Context) -> bool:
    return ctx.settings.sandbox and sandbox.available().ok


def box(
    ctx: Context, read_write: Sequence[Path], read_only: Sequence[Path], env: dict[str, str]
) -> Sandbox | None:
    """The sandbox of a session or check; None where bubblewrap is off or missing."""
    if not is_sandboxed(ctx):
        return None
    return Sandbox(
        read_write=[str(path) for path in read_write],
        read_only=[*_toolchains(), *(str(path) for path in read_only)],
        hidden=[str(ctx.home.path), str(ctx.home.worktrees), str(Path.home())],
        env=env,
    )


def _toolchains() -> list[str]:
    below = [Path.home() / name for name in _TOOLCHAINS]
    on_path = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    mine = [path for path in on_path if path.is_relative_to(Path.home())]
    return [str(path) for path in [*below, *mine] if path.is_dir()]
