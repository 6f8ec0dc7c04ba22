"""The Codex driver: what it can do, where its program is, whether its account is logged in.

The protocol is `codex_connection` (JSON-RPC over stdio with an app-server of the session's own,
docs/adr/0004), `codex_parse` (its notifications), `codex_questions` (its requests) and
`codex_config` (its settings).
"""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from agents.base import (
    AccountReport,
    Availability,
    Capabilities,
    Connection,
    Endpoint,
    Host,
)
from agents.drivers import codex_account
from agents.drivers.codex_config import API_KEY_ENV
from agents.drivers.codex_connection import CodexConnection

MIN_VERSION = (0, 160)  # turn/steer, thread/backgroundTerminals/clean and the schema we read
_PACKAGE = "codex_cli_bin"
_INSTALL = "install it with `npm install -g @openai/codex` or `pip install openai-codex-cli-bin`"
_PROBE_SECONDS = 20


class Codex:
    """OpenAI's Codex through `codex app-server`."""

    id = "codex"
    capabilities = Capabilities(
        label="Codex",
        icon="Cx",
        quota=True,
        needs_binary=True,
        auths=("subscription", "api_key", "none"),
        config_dir_env="CODEX_HOME",
        config_dir="~/.codex",
        api_key_env=API_KEY_ENV,
        login_command="CODEX_HOME={config_dir} codex login",
        docs="https://developers.openai.com/codex",
        family="codex",
        plans=codex_account.PLANS,
        has_usage_logs=True,
    )

    def available(self, endpoint: Endpoint, env: dict[str, str]) -> Availability:
        """Whether a session can start: program, version, and login or key of that account."""
        binary = find_binary(env)
        if not binary:
            return Availability(ok=False, problem=f"Codex was not found: {_INSTALL}.")
        said = _run([binary, "--version"], env)
        version = _version(said.stdout) if said and said.returncode == 0 else ()
        text = ".".join(map(str, version))
        if not version:
            return Availability(ok=False, binary=binary, problem=f"{binary} --version failed.")
        if version < MIN_VERSION:
            wanted = ".".join(map(str, MIN_VERSION))
            problem = f"Codex {text} is too old, {wanted} is needed: {_INSTALL}."
            return Availability(ok=False, binary=binary, version=text, problem=problem)
        logged_in, problem = _login(binary, endpoint, env)
        return Availability(
            ok=not problem, binary=binary, version=text, problem=problem, logged_in=logged_in
        )

    def read_account(self, endpoint: Endpoint, env: dict[str, str]) -> AccountReport:
        """Login, identity, plan and windows, by an app-server that is asked and ended."""
        home = str(_home(endpoint, env))
        return codex_account.read_account(endpoint, env, find_binary(env), home)

    def carry(
        self,
        conversation_id: str,  # noqa: ARG002
        cwd: str,  # noqa: ARG002
        home: str,  # noqa: ARG002
        source: Endpoint,  # noqa: ARG002
        target: Endpoint,  # noqa: ARG002
    ) -> bool:
        """Never: a thread's reasoning is encrypted for the organisation that paid for it."""
        return False

    def connect(self, host: Host) -> Connection:
        """A connection with an app-server of its own; `start` brings it up."""
        binary = host.spec.binary or find_binary(host.environment()) or "codex"
        return CodexConnection(host, binary)


def find_binary(env: dict[str, str]) -> str:
    """The user's own `codex` on `env`'s PATH, else the one of the PyPI package, else ""."""
    return shutil.which("codex", path=env.get("PATH", os.defpath)) or _bundled()


def _bundled() -> str:
    found = importlib.util.find_spec(_PACKAGE)  # looked up, not imported: 300 MB lie there
    for folder in (found.submodule_search_locations or []) if found else []:
        binary = Path(folder, "bin", "codex")
        if os.access(binary, os.X_OK):
            return str(binary)
    return ""


def _login(binary: str, endpoint: Endpoint, env: dict[str, str]) -> tuple[bool | None, str]:
    """Logged in or not (None: not asked), and the sentence that mends it."""
    if endpoint.auth == "api_key":
        name = endpoint.secret_env or API_KEY_ENV
        there = bool(env.get(name))
        return there, "" if there else f"The variable {name} is not set; set it to the API key."
    if endpoint.auth == "none" or endpoint.base_url:
        return None, ""
    home = _home(endpoint, env)
    said = _run([binary, "login", "status"], {**env, "CODEX_HOME": str(home)}, home)
    if said is not None and said.returncode == 0:
        return True, ""
    command = Codex.capabilities.login_command.format(config_dir=home)
    return False, f"Codex is not logged in at {home}: run `{command}`."


def _home(endpoint: Endpoint, env: dict[str, str]) -> Path:
    return Path(endpoint.config_dir or Path(env.get("HOME", "~"), ".codex")).expanduser()


def _run(
    argv: list[str], env: dict[str, str], needs: Path | None = None
) -> "subprocess.CompletedProcess[str] | None":
    """The finished command; None where it does not run, or `needs` is no directory."""
    if needs is not None and not needs.is_dir():
        return None
    try:
        return subprocess.run(
            argv,
            env=env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()
