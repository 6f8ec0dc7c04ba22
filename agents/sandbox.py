"""The box a session's processes live in: bubblewrap, and what of the machine it shows.

The whole machine is read-only, homes and the `hidden` directories are empty, and what the session
needs is bound back over them. Of two rules for nested paths the deeper one holds, so a secret
below a shown directory stays hidden. The box has its own process namespace: it ends as one.
"""

import os
import pwd
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Literal

from agents.base import Availability, LaunchSpec
from agents.errors import AgentError

Kind = Literal["hidden", "read_only", "read_write"]
Mounts = dict[Path, Kind]

_ALWAYS_HIDDEN = ("/tmp", "/root", "/run", "/home", "/var/tmp")
# What only root may read outside, root would read inside too: it owns these files.
_ROOTS_OWN = (
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/ssl/private",
    "/var/spool/cron",
    "/var/lib/docker",
)
_NAMESPACES = ("--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session")
# For the real root the kernel checks no capability before it writes these, only the user id.
_KERNEL = ("sys", "irq", "bus", "fs", "acpi", "scsi", "mtrr", "pressure", "sysrq-trigger")
_HELP = "install bubblewrap (Debian, Ubuntu, Fedora: the package `bubblewrap`)"


@cache
def available() -> Availability:
    """Whether bubblewrap is here and works for this user; asked once a process."""
    binary = shutil.which("bwrap")
    if binary is None:
        return Availability(False, problem=f"Sessions run unboxed: {_HELP}.")
    probe = [binary, *_NAMESPACES, *_privileges(), "--ro-bind", "/", "/", "--proc", "/proc"]
    try:
        done = subprocess.run(
            [*probe, "--dev", "/dev", "--tmpfs", "/tmp", binary, "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Availability(False, binary, problem=f"bubblewrap does not start: {error}.")
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        hint = "allow unprivileged user namespaces (kernel.unprivileged_userns_clone, AppArmor)"
        return Availability(False, binary, problem=f"bubblewrap fails ({why[0]}): {hint}.")
    return Availability(True, binary, done.stdout.strip().removeprefix("bubblewrap "))


def wrap(argv: list[str], spec: LaunchSpec) -> list[str]:
    """`argv` inside the spec's box; raises AgentError where no box can be made."""
    if spec.sandbox is None:
        raise AgentError("This session has no sandbox to run in.")
    box = available()
    if not box.ok:
        raise AgentError(box.problem)
    mounts = _mounts(spec)
    links: dict[Path, str] = {}
    for path in (*_interpreter(), *_program(argv[0], spec)):
        _show(path, mounts, links)
    network = [] if spec.sandbox.network else ["--unshare-net"]
    return [
        *(box.binary, *_NAMESPACES, *_privileges(), *network),
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", *_kernel_switches()),
        *_arguments(mounts, links),
        *("--chdir", str(Path(spec.cwd).resolve()), "--", *argv),
    ]


def _privileges() -> list[str]:
    # Root would keep its capabilities inside, and could then unmount what hides the secrets.
    return ["--cap-drop", "ALL"] if os.geteuid() == 0 else []


def _kernel_switches() -> list[str]:
    """Read-only binds over what the root of the machine could set from inside."""
    if os.geteuid() != 0:
        return []
    paths = [f"/proc/{name}" for name in _KERNEL]
    return [word for path in paths for word in ("--ro-bind-try", path, path)]


def _mounts(spec: LaunchSpec) -> Mounts:
    """The rules the spec and this machine's homes make, by resolved path."""
    assert spec.sandbox is not None
    mounts: Mounts = {path: "hidden" for path in _homes() if path.exists()}
    for name in spec.sandbox.hidden:
        if (path := Path(name).resolve()).exists():
            mounts[path] = "hidden"
    name_service = Path("/etc/resolv.conf").resolve()  # on many machines a link into /run
    if name_service.exists() and _rule(name_service, mounts) == "hidden":
        mounts[name_service] = "read_only"
    for name in spec.sandbox.read_only:
        mounts[_existing(name)] = "read_only"
    own = [spec.cwd, spec.home, *filter(None, [spec.endpoint.config_dir])]
    for name in (*spec.sandbox.read_write, *own):
        mounts[_existing(name)] = "read_write"
    return mounts


def _homes() -> list[Path]:
    """Where people and the system keep what is nobody else's business."""
    people = [Path(entry.pw_dir) for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 65534]
    homes = [*map(Path, (*_ALWAYS_HIDDEN, *_ROOTS_OWN)), Path.home(), *people]
    homes += Path("/etc/ssh").glob("ssh_host_*_key")
    # A home of "/" or "/var" belongs to a system's user and hides what everybody needs.
    return [home for home in (path.resolve() for path in homes) if len(home.parts) > 1]


def _existing(name: str) -> Path:
    path = Path(name).resolve()
    if not path.exists():
        raise AgentError(f"The sandbox cannot show {name}: it does not exist; create it first.")
    return path


def _interpreter() -> list[Path]:
    """What `python -m agents…` inside the box needs: this interpreter and this package."""
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    return [*map(Path, dict.fromkeys(prefixes)), Path(__file__).parent, Path(sys.executable)]


def _program(name: str, spec: LaunchSpec) -> list[Path]:
    """The program, its package where it is part of one, and its `#!` interpreter."""
    path = spec.env.get("PATH", os.defpath)
    found = shutil.which(name, path=path)
    if found is None:
        return []  # the start fails inside the box, with the name in the message
    shown = [Path(found), *_package(Path(found).resolve())]
    with Path(found).open("rb") as file:
        words = file.readline(512).split() if file.read(2) == b"#!" else []
    interpreter = words[-1].decode("utf-8", "replace") if words else ""
    if interpreter and (real := shutil.which(interpreter, path=path)):
        shown.append(Path(real))
    return shown


def _package(program: Path) -> list[Path]:
    """The directory of installed packages around a program, none for a lone file."""
    names = ("node_modules", "site-packages", "dist-packages")
    return [parent for parent in program.parents if parent.name in names][-1:]


def _show(path: Path, mounts: Mounts, links: dict[Path, str]) -> None:
    """Make `path` readable again where a rule hides it, symbolic links on the way included."""
    real = _walk(path, links)
    holds_hidden = any(kind == "hidden" and at.is_relative_to(real) for at, kind in mounts.items())
    if real.exists() and not holds_hidden and _rule(real, mounts) == "hidden":
        mounts[real] = "read_only"


def _walk(path: Path, links: dict[Path, str]) -> Path:
    """The real path; each link met is noted under its own real place."""
    real = Path("/")
    todo = list(reversed(path.absolute().parts[1:]))
    for _ in range(1000):
        if not todo:
            return real
        part = todo.pop()
        if part == "..":
            real = real.parent
            continue
        here = real / part
        if not here.is_symlink():
            real = here
            continue
        target = here.readlink()
        links[here] = str(target)
        real = Path("/") if target.is_absolute() else real
        todo += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    raise AgentError(f"{path} is a circle of symbolic links.")


def _rule(path: Path, mounts: Mounts) -> Kind | None:
    """The rule that decides what is seen at `path`."""
    for at in (path, *path.parents):
        if at in mounts:
            return mounts[at]
    return None


def _arguments(mounts: Mounts, links: dict[Path, str]) -> list[str]:
    arguments: list[str] = []
    for path, kind in sorted(mounts.items(), key=lambda item: len(item[0].parts)):
        if kind == "read_write":
            arguments += ["--bind", str(path), str(path)]
        elif kind == "read_only":
            arguments += ["--ro-bind", str(path), str(path)]
        elif _rule(path.parent, mounts) == "hidden":
            continue
        elif path.is_dir():
            arguments += ["--tmpfs", str(path)]
        else:
            arguments += ["--ro-bind", "/dev/null", str(path)]
    for link, target in links.items():
        if _rule(link, mounts) == "hidden":
            arguments += ["--symlink", target, str(link)]
    return arguments
