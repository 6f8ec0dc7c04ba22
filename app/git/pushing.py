"""Pushing to the human's remotes, and opening pull requests there with `gh`; never forced.

It is done in the human's repository, with their configuration and credentials. Commits that only
gate.git has are lent to it for the push, so that nothing is added there but git's own note of
where the remote's branch is.
"""

import os
import re
import shutil
from pathlib import Path

import msgspec

from app.errors import GitError, PullRefused, PushRefused
from app.git.clones import Clones, quoted_path
from app.git.names import require_ref
from app.git.run import require_oid, run_bounded, run_git

PUSH_SECONDS, GH_SECONDS = 600.0, 60.0
_SCHEMES = "file:git:http:https:ssh"
_NETWORK = (  # what ssh, git's transports and gh need of the human's environment to log in
    *("SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH", "GIT_SSH_COMMAND", "DBUS_SESSION_BUS_ADDRESS"),
    *("XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
_GH = (
    *("PATH", "HOME", "USER", "LANG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"),
    *("GH_TOKEN", "GITHUB_TOKEN", "GH_HOST", "GH_CONFIG_DIR", "GH_REPO"),
    *("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"),
)
_URL = re.compile(r"https?://\S+/pull/\d+")


class Pull(msgspec.Struct, frozen=True):
    """A pull request to open, from a branch that the remote has."""

    branch: str
    base: str
    title: str
    body: str


def remotes(human: Path) -> dict[str, str]:
    """The human's remotes by name, with the address that a push goes to."""
    names = run_git(["remote"], cwd=human, human=True).text.splitlines()
    return {name: _address(human, name) for name in names}


def push(clones: Clones, remote: str, sha: str, ref: str) -> None:
    """Make a branch of the remote be this commit, if it only adds to what is there.

    PushRefused says what stands against it; GitError where the remote could not be asked.
    """
    source = f"{require_oid(sha)}:{require_ref(ref)}"
    lent = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted_path(clones.gate / "objects")}
    address = _known(clones.human, remote)
    # pushed to an address, git makes no note of the remote's branch: it would name a lent commit
    where = remote if _has(clones.human, sha) else address
    done = run_git(
        [
            *("push", "--porcelain", "--no-follow-tags", "--no-signed", "--no-verify"),
            *("--no-recurse-submodules", "--end-of-options", where, source),
        ],
        cwd=clones.human,
        human=True,
        env=lent | {"GIT_ALLOW_PROTOCOL": _SCHEMES} | _passed(_NETWORK),
        accept=(0, 1),
        timeout_seconds=PUSH_SECONDS,
    )
    refused = [line for line in done.text.splitlines() if line.startswith("!")]
    if refused:
        raise PushRefused(remote, _why(refused[0]))
    if done.returncode:
        raise GitError(f"git push failed: {_last_line(done.stderr)}", detail=done.stderr)


def open_pull(human: Path, pull: Pull) -> str:
    """The address of the pull request, opened by `gh` or open already; PullRefused says the way."""
    gh = shutil.which("gh")
    if gh is None:
        raise PullRefused(
            "`gh` is not installed: install it and run `gh auth login`, or open it at the remote"
        )
    done = run_bounded(
        [
            *(gh, "pr", "create", f"--head={pull.branch}", f"--base={pull.base}"),
            *(f"--title={pull.title}", "--body-file=-"),
        ],
        {"GH_PROMPT_DISABLED": "1", "NO_COLOR": "1"} | _passed((*_GH, *_NETWORK)),
        human,
        pull.body.encode("utf-8", "replace"),
        timeout_seconds=GH_SECONDS,
        limit_bytes=1 << 20,
    )
    found = _URL.search(done.text) or _URL.search(done.stderr)  # there: "already exists: URL"
    if found is None:
        raise PullRefused(f"`gh` says: {_last_line(done.stderr) or 'nothing'}")
    return found[0]


def _has(human: Path, sha: str) -> bool:
    args = ["cat-file", "-e", sha + "^{commit}"]
    return run_git(args, cwd=human, human=True, accept=(0, 1, 128)).returncode == 0


def _known(human: Path, remote: str) -> str:
    known = remotes(human)
    if remote not in known:
        names = ", ".join(known) or "none: add one with `git remote add origin ADDRESS`"
        raise PushRefused(remote, f"your repository has no such remote (it has {names})")
    return known[remote]


def _address(human: Path, remote: str) -> str:
    args = ["remote", "get-url", "--push", "--end-of-options", remote]
    return run_git(args, cwd=human, human=True).text


def _passed(names: tuple[str, ...]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _why(line: str) -> str:
    """The reason in a line of `git push --porcelain`: flag, refs and summary, by tabs."""
    summary = line.rsplit("\t", 1)[-1]
    if "non-fast-forward" in summary or "fetch first" in summary:
        return "it has commits there that you do not have here; fetch and merge them first"
    return summary


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))]
    return (fatal or lines or [""])[-1].rstrip(".")
