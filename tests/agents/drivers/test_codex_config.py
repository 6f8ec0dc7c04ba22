"""A launch as Codex's flags, thread parameters and environment."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agents.base import Endpoint, LaunchSpec, Sandbox
from agents.drivers.codex_config import (
    RETRIES_ENV,
    environment,
    flags,
    git_directories,
    thread_params,
)


def spec(tmp: Path, **changes: Any) -> LaunchSpec:
    given: dict[str, Any] = {"sandbox": Sandbox(), **changes}
    cwd = given.pop("cwd", str(tmp / "wörk 🚢 tree"))
    return LaunchSpec(session_id="s", driver="codex", cwd=cwd, home=str(tmp / "home"), **given)


def settings(given: LaunchSpec) -> dict[str, Any]:
    """The flags as Codex reads them: each a line of TOML."""
    words = flags(given)
    assert words[::2] == ["-c"] * (len(words) // 2)
    return tomllib.loads("\n".join(words[1::2]))


def test_a_subscription_keeps_the_vendors_own_provider(tmp_path: Path) -> None:
    read = settings(spec(tmp_path))
    assert "model_provider" not in read
    assert read["analytics"] == {"enabled": False}
    assert read["features"] == {"plugins": False}
    assert read["projects"] == {str(tmp_path / "wörk 🚢 tree"): {"trust_level": "trusted"}}


def test_a_key_needs_a_provider_and_is_kept_from_the_shell(tmp_path: Path) -> None:
    read = settings(spec(tmp_path, endpoint=Endpoint(auth="api_key", secret_env="MY_KEY")))
    provider = read["model_providers"][read["model_provider"]]
    assert provider["base_url"] == "https://api.openai.com/v1"
    assert (provider["env_key"], provider["wire_api"]) == ("MY_KEY", "responses")
    assert provider["stream_max_retries"] > 0
    assert read["shell_environment_policy"]["exclude"] == ["MY_KEY"]


def test_an_endpoint_of_ones_own_needs_no_key(tmp_path: Path) -> None:
    local = Endpoint(auth="none", base_url="http://127.0.0.1:1/v1")
    read = settings(spec(tmp_path, endpoint=local, env={RETRIES_ENV: "1"}))
    provider = read["model_providers"][read["model_provider"]]
    assert "env_key" not in provider
    assert provider["base_url"] == "http://127.0.0.1:1/v1"
    assert (provider["request_max_retries"], provider["stream_max_retries"]) == (0, 1)


@pytest.mark.parametrize(
    ("permissions", "sandbox", "policy", "mode"),
    [
        ("auto", Sandbox(), "never", "danger-full-access"),
        ("auto", None, "never", "workspace-write"),
        ("ask", Sandbox(), "untrusted", "danger-full-access"),
        ("ask", None, "untrusted", "workspace-write"),
    ],
)
def test_permissions_and_sandbox(
    tmp_path: Path, permissions: str, sandbox: Sandbox | None, policy: str, mode: str
) -> None:
    params = thread_params(spec(tmp_path, permissions=permissions, sandbox=sandbox))
    assert (params["approvalPolicy"], params["sandbox"]) == (policy, mode)
    assert "model" not in params
    assert "developerInstructions" not in params


def test_its_own_sandbox_lets_a_linked_worktree_commit(linked: Path, tmp_path: Path) -> None:
    objects = tmp_path / "objects"
    objects.mkdir()
    env = {"GIT_OBJECT_DIRECTORY": str(objects)}
    read = settings(spec(tmp_path, cwd=str(linked), sandbox=None, env=env))
    roots = read["sandbox_workspace_write"]["writable_roots"]
    git = tmp_path / "repository" / ".git"
    names = [git / "worktrees" / "linked", git / "objects", git / "refs", objects]
    assert set(map(str, names)) <= set(roots)
    assert str(git) not in roots, "hooks and config stay read-only"


def test_other_directories_have_no_git_directories(tmp_path: Path) -> None:
    assert git_directories(tmp_path) == []


def test_the_environment_names_the_account_and_is_otherwise_as_given(tmp_path: Path) -> None:
    base = {"PATH": "/bin", "TMPDIR": "/nowhere", RETRIES_ENV: "1"}
    child = environment(spec(tmp_path), base)
    assert child == {
        "PATH": "/bin",
        "TMPDIR": "/nowhere",
        "HOME": str(tmp_path / "home"),
        "CODEX_HOME": str(tmp_path / "home" / ".codex"),
    }
    assert Path(child["CODEX_HOME"]).is_dir()


def test_an_account_below_the_temporary_directory_gets_another_one(tmp_path: Path) -> None:
    account = tmp_path / "account"
    given = spec(tmp_path, endpoint=Endpoint(config_dir=str(account)))
    child = environment(given, {"TMPDIR": str(tmp_path)})
    assert child["CODEX_HOME"] == str(account)
    assert child["TMPDIR"] == str(tmp_path / "home" / "tmp")
    assert Path(child["TMPDIR"]).is_dir()


@pytest.fixture
def linked(tmp_path: Path, git_worktree: Path) -> Path:
    """A linked worktree of `tmp_path / "repository"`."""
    repository = git_worktree.rename(tmp_path / "repository")
    path = tmp_path / "linked"
    command = ["git", "worktree", "add", "--quiet", "-b", "qd/test", str(path)]
    subprocess.run(command, cwd=repository, check=True, timeout=20)
    return path
