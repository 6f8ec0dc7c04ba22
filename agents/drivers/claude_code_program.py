"""Claude Code, the program: where it is, whether it is good, its command line and environment."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath

from agents.base import Availability, Endpoint, LaunchSpec
from agents.errors import AgentNotFound, CommandRefused

STATUS_SECONDS = 20.0
MAX_INSTRUCTION_BYTES = 120_000  # one argument of a program holds 128 KiB on Linux
OLDEST = (2, 1, 248)  # the first that takes a prompt as written, slash or not
CREDENTIALS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
# What a settings file in a repository could set to lead the account's requests astray.
ROUTING = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    *("NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED"),
    *("ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_UNIX_SOCKET", "CLAUDE_CODE_USE_BEDROCK"),
    *("CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY", "CLAUDE_CODE_USE_GATEWAY"),
)
INSTALL = "install it (npm install -g @anthropic-ai/claude-code) or pip install claude-agent-sdk"
LOGIN = "CLAUDE_CONFIG_DIR={config_dir} claude auth login"
QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}


def availability(endpoint: Endpoint, env: dict[str, str]) -> Availability:
    """Program, version and login, by the program's own commands; blocks up to 40 seconds."""
    try:
        binary = find_binary(env)
        version = _run([binary, "--version"], env, endpoint).split(" ")[0].strip()
        problem = _too_old(version) or _missing_secret(endpoint, env)
        if problem:
            return Availability(False, binary, version, problem)
        if endpoint.auth != "subscription" or endpoint.secret_env:
            return Availability(True, binary, version)
        status = json.loads(_run([binary, "auth", "status", "--json"], env, endpoint))
        logged_in = bool(status.get("loggedIn"))
    except AgentNotFound as error:
        return Availability(False, problem=str(error))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return Availability(False, problem=f"claude does not answer: {error}")
    login = LOGIN.format(config_dir=endpoint.config_dir or "~/.claude")
    problem = "" if logged_in else f"Claude Code is not logged in; run: {login}"
    return Availability(logged_in, binary, version, problem, logged_in)


def find_binary(env: dict[str, str]) -> str:
    """The user's own `claude` on PATH, else the one in the SDK's package; AgentNotFound else."""
    if own := shutil.which("claude", path=env.get("PATH", os.defpath)):
        return own
    package = importlib.util.find_spec("claude_agent_sdk")
    for folder in (package.submodule_search_locations or []) if package else []:
        if (bundled := Path(folder, "_bundled", "claude")).is_file():
            return str(bundled)
    raise AgentNotFound("claude", INSTALL)


def arguments(spec: LaunchSpec, conversation: str) -> list[str]:
    """The command line of a session."""
    if len(spec.instructions.encode()) > MAX_INSTRUCTION_BYTES:
        raise CommandRefused("The agent's instructions are over 120 kB; shorten them.")
    mode = "bypassPermissions" if spec.permissions == "auto" else "acceptEdits"
    argv = [
        spec.binary or find_binary(spec.env),
        *("-p", "--input-format", "stream-json", "--output-format", "stream-json"),
        *("--verbose", "--include-partial-messages"),
        *("--resume" if spec.resume else "--session-id", conversation),
        *("--permission-mode", mode, "--permission-prompt-tool", "stdio"),
        *("--settings", json.dumps(_settings(spec))),
        *("--disallowedTools", "ListAgents", "SendMessage"),  # agents do not see each other
    ]
    argv += ["--model", spec.model] if spec.model else []
    return argv + (["--append-system-prompt", spec.instructions] if spec.instructions else [])


def environment(spec: LaunchSpec, given: dict[str, str]) -> dict[str, str]:
    """`given` with the account under the names that the program expects, and no other account."""
    endpoint = spec.endpoint
    secret = given.get(endpoint.secret_env, "") if endpoint.secret_env else ""
    dropped = {*CREDENTIALS, endpoint.secret_env}
    env = {name: value for name, value in given.items() if name not in dropped}
    env |= {
        **QUIET,
        # Keyed to the repository: all agents of one would share it.
        "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    }
    if spec.permissions == "auto":
        env["IS_SANDBOX"] = "1"  # else it refuses to run as root
    if endpoint.config_dir:
        env["CLAUDE_CONFIG_DIR"] = endpoint.config_dir
    if endpoint.base_url:
        env["ANTHROPIC_BASE_URL"] = endpoint.base_url
    if secret:
        name = "CLAUDE_CODE_OAUTH_TOKEN" if endpoint.auth == "subscription" else CREDENTIALS[0]
        # The second keeps the secret from the agent's commands. A stored login would not be read.
        env |= {name: secret, "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "1"}
    return env


def _settings(spec: LaunchSpec) -> dict[str, object]:
    """Settings that stand above the repository's own, which must not re-route the account.

    Proxies and certificates come from the session's environment, never from a settings file.
    """
    pinned = {name: spec.env.get(name, "") for name in ROUTING}
    pinned["ANTHROPIC_BASE_URL"] = spec.endpoint.base_url or "https://api.anthropic.com"
    if not spec.endpoint.secret_env:  # a stored login: a planted key would come before it
        pinned |= dict.fromkeys(CREDENTIALS, "")
    excluded = _foreign_instructions(spec)
    return {"claudeMdExcludes": excluded, "env": pinned, "apiKeyHelper": ""}


def _foreign_instructions(spec: LaunchSpec) -> list[str]:
    """Instruction files above the worktree: the house's own must not reach its agents."""
    mine = PurePosixPath(spec.endpoint.config_dir or spec.home + "/.claude")
    files = []
    for folder in PurePosixPath(spec.cwd).parents:
        files += [str(folder / name) for name in ("CLAUDE.md", "CLAUDE.local.md", "AGENTS.md")]
        if folder / ".claude" != mine:
            files += [f"{folder / '.claude'}/CLAUDE.md", f"{folder / '.claude'}/rules/**"]
    return files


def _run(argv: list[str], env: dict[str, str], endpoint: Endpoint) -> str:
    """What the program prints on stdout, with no more of `env` than it needs."""
    names: list[str] = ["PATH", "HOME", "USER", "LANG", "TMPDIR"]
    child = {name: env[name] for name in names if name in env} | QUIET
    if endpoint.config_dir:
        child["CLAUDE_CONFIG_DIR"] = endpoint.config_dir
    done = subprocess.run(
        argv,
        env=child,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=STATUS_SECONDS,
    )
    return done.stdout


def _too_old(version: str) -> str:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if not numbers:
        return f"claude --version said {version[:80]!r}; {INSTALL}."
    if tuple(map(int, numbers.groups())) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return f"Claude Code {version} is too old (needs {oldest}); run: claude update"
    return ""


def _missing_secret(endpoint: Endpoint, env: dict[str, str]) -> str:
    if endpoint.secret_env and not env.get(endpoint.secret_env):
        return f"The variable {endpoint.secret_env} is not set; set it and start again."
    if endpoint.auth == "api_key" and not endpoint.secret_env:
        return "The account names no variable that holds its key (ANTHROPIC_API_KEY, for example)."
    return ""
