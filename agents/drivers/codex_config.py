"""How a launch becomes Codex's settings: flags, thread parameters, environment.

Everything travels on the command line or with the thread: the account's own config.toml is the
human's and is not written, neither by us nor by Codex on our behalf.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from agents.base import LaunchSpec
from agents.drivers.codex_limits import Message

PROVIDER = "quarterdeck"
OPENAI_URL = "https://api.openai.com/v1"
API_KEY_ENV = "OPENAI_API_KEY"
# Of an endpoint of ours. Codex backs off 0.2, 0.4, 0.8 ... s and tells each of these; the ones
# below them ("request" retries) are silent, so there are none.
RETRIES = 8
RETRIES_ENV = "QUARTERDECK_CODEX_RETRIES"  # in LaunchSpec.env: another number

Value = str | int | bool | list[str]


def codex_home(spec: LaunchSpec) -> Path:
    """The account's directory."""
    return Path(spec.endpoint.config_dir or Path(spec.home, ".codex"))


def flags(spec: LaunchSpec) -> list[str]:
    """`-c key=value` arguments of the app-server."""
    values: dict[str, Value] = {
        "analytics.enabled": False,
        "check_for_update_on_startup": False,
        "features.plugins": False,  # else it asks api.github.com at start
        **_provider(spec),
    }
    if spec.sandbox is None:
        values["sandbox_workspace_write.writable_roots"] = _writable(spec)
    if name := _key_env(spec):
        values["shell_environment_policy.exclude"] = [name]  # the agent's shell needs no key
    pairs = [f"{key}={_toml(value)}" for key, value in values.items()]
    # Said here, or Codex writes "trusted" into config.toml, one entry for each worktree.
    places = sorted({spec.cwd, str(Path(spec.cwd).resolve())})
    trusted = ",".join(f'{_toml(place)}={{trust_level="trusted"}}' for place in places)
    pairs.append(f"projects={{{trusted}}}")
    return [word for pair in pairs for word in ("-c", pair)]


def thread_params(spec: LaunchSpec) -> Message:
    """Parameters that thread/start and thread/resume share."""
    params: Message = {
        "cwd": spec.cwd,
        # "on-request" asks only where the model itself wants out of the sandbox.
        "approvalPolicy": "never" if spec.permissions == "auto" else "untrusted",
        # Two sandboxes in one another guard no better than ours, and Codex's can't commit.
        "sandbox": "danger-full-access" if spec.sandbox else "workspace-write",
    }
    if spec.model:
        params["model"] = spec.model
    if spec.instructions:
        params["developerInstructions"] = spec.instructions
    return params


def environment(spec: LaunchSpec, base: Mapping[str, str]) -> dict[str, str]:
    """The app-server's environment; makes the directories that it names."""
    home = codex_home(spec)
    home.mkdir(parents=True, exist_ok=True)
    child = {key: value for key, value in base.items() if key != RETRIES_ENV}
    child["CODEX_HOME"] = str(home)
    child.setdefault("HOME", spec.home)
    if home.resolve().is_relative_to(Path(child.get("TMPDIR", "/tmp")).resolve()):
        # Codex makes no sandbox helpers under the temporary directory, and then no command runs.
        own = Path(spec.home, "tmp")
        own.mkdir(parents=True, exist_ok=True)
        child["TMPDIR"] = str(own)
    return child


def git_directories(cwd: Path) -> list[Path]:
    """What a commit in a linked worktree writes outside of it; empty for any other directory."""
    link = cwd / ".git"
    if not link.is_file():
        return []
    own = (cwd / link.read_text().removeprefix("gitdir:").strip()).resolve()
    pointer = own / "commondir"
    common = (own / pointer.read_text().strip()).resolve() if pointer.is_file() else own
    return [own, common / "objects", common / "refs", common / "logs"]


def _toml(value: Value) -> str:
    """These kinds of values TOML writes as JSON does."""
    return json.dumps(value, ensure_ascii=False)


def _writable(spec: LaunchSpec) -> list[str]:
    paths = git_directories(Path(spec.cwd))
    if objects := spec.env.get("GIT_OBJECT_DIRECTORY"):
        paths.append(Path(objects))
    return [str(path) for path in paths if path.is_dir()]


def _key_env(spec: LaunchSpec) -> str:
    keyed = spec.endpoint.auth == "api_key"
    return spec.endpoint.secret_env or (API_KEY_ENV if keyed else "")


def _provider(spec: LaunchSpec) -> dict[str, Value]:
    """A provider of our own where the account is not Codex's own login."""
    endpoint = spec.endpoint
    if endpoint.auth != "api_key" and not endpoint.base_url:
        return {}
    prefix = f"model_providers.{PROVIDER}"
    values: dict[str, Value] = {
        "model_provider": PROVIDER,
        f"{prefix}.name": "Quarterdeck",  # without a name Codex refuses to start
        f"{prefix}.base_url": endpoint.base_url or OPENAI_URL,
        f"{prefix}.wire_api": "responses",
    }
    if name := _key_env(spec):
        values[f"{prefix}.env_key"] = name
    values[f"{prefix}.request_max_retries"] = 0
    wanted = spec.env.get(RETRIES_ENV, "")
    values[f"{prefix}.stream_max_retries"] = int(wanted) if wanted.isdecimal() else RETRIES
    return values
