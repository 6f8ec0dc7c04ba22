"""The box: what an agent's shell inside it can see, write and break out of."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agents import sandbox
from agents.base import Endpoint, LaunchSpec, Sandbox
from agents.errors import AgentError

pytestmark = pytest.mark.skipif(not sandbox.available().ok, reason="no working bubblewrap")


class House:
    """A state directory as the app lays it out, with one agent's place in it."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state dir ü"
        self.worktree = self.state / "worktrees" / "repo" / "agent-1"
        self.other = self.state / "worktrees" / "repo" / "agent-2"
        self.home = self.state / "homes" / "agent-1"
        self.account = self.state / "accounts" / "a1"
        for path in (self.worktree, self.other, self.home, self.account):
            path.mkdir(parents=True)
        (self.state / "token").write_text("the human's token")
        (self.other / "secret.txt").write_text("another agent's work")
        self.more: dict[str, object] = {}

    def spec(self, **box: object) -> LaunchSpec:
        values: dict[str, object] = {"hidden": [str(self.state)], **box}
        return LaunchSpec(
            session_id="s1",
            driver="scripted",
            cwd=str(self.worktree),
            home=str(self.home),
            endpoint=Endpoint(config_dir=str(self.account)),
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            sandbox=Sandbox(**values),  # type: ignore[arg-type]
        )

    def run(self, *argv: str, **box: object) -> subprocess.CompletedProcess[str]:
        spec = self.spec(**box)
        assert spec.sandbox is not None
        return subprocess.run(
            sandbox.wrap(list(argv), spec),
            env={**spec.env, **spec.sandbox.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def shell(self, command: str, **box: object) -> subprocess.CompletedProcess[str]:
        return self.run("/bin/sh", "-c", command, **box)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_it_starts_where_the_work_is_and_writes_there(house: House) -> None:
    done = house.shell('pwd; echo x > mine && echo y > "$HOME/note"; id -u')
    assert done.stdout.splitlines() == [str(house.worktree), str(os.getuid())]
    assert (house.worktree / "mine").read_text() == "x\n"
    assert (house.home / "note").read_text() == "y\n"


@pytest.mark.parametrize(
    "command",
    [
        "cat '{state}/token'",
        "cat '{other}/secret.txt'",
        "ls '{other}'",
        "echo x > /etc/quarterdeck-probe",
        "echo x > /usr/quarterdeck-probe",
        "touch '{home}/../../token' && cat '{state}/token' | grep human",
        "kill -9 {outside}",
        "cat /proc/{outside}/environ",
        "ls '/proc/1/root{state}/token'",
        "ls -A /home | grep .",
        "cat /root/.bashrc /root/.profile",
        "cat /etc/shadow | grep root",
        "cat /etc/ssh/ssh_host_*_key | grep KEY",
        "mount -o remount,rw / && touch /etc/quarterdeck-probe",
        "umount /root && ls -A /root | grep bash",
        "umount -l '{state}'; cat '{state}/token'",
        'unshare -Urm sh -c \'umount -l "{state}"; cat "{state}/token"\'',
        "unshare -Urm sh -c 'umount /root && cat /root/.bashrc'",
        "unshare -Urm sh -c 'mount -o remount,bind,rw / && touch /etc/quarterdeck-probe'",
        "mknod disk b 8 0",
        # These write back what they read: harmless where the box does leak.
        "cat /proc/sys/kernel/core_pattern > v; cat v > /proc/sys/kernel/core_pattern",
        "unshare -Urmpf --mount-proc sh -c 'cat /proc/sys/kernel/core_pattern > v;"
        " cat v > /proc/sys/kernel/core_pattern'",
        # But for what is its own namespaces' nothing of the kernel's can be set.
        "find /proc/sys /proc/irq /proc/mtrr /sys -type f -writable"
        " | grep -vE '/kernel/(shm|msg|sem|auto_msgmni|ns_last_pid|pid_max)|/mqueue/'",
        "nsenter -t 1 -m cat '{state}/token'",
        "chroot /proc/1/root cat '{state}/token'",
    ],
)
def test_the_ways_out_are_closed(house: House, command: str) -> None:
    outside = subprocess.Popen(["sleep", "600"])
    try:
        done = house.shell(
            command.format(
                state=house.state, other=house.other, home=house.home, outside=outside.pid
            )
        )
        assert done.returncode != 0, done.stdout
        assert "human's token" not in done.stdout
        assert outside.poll() is None
        assert not Path("/etc/quarterdeck-probe").exists()
    finally:
        outside.kill()
        outside.wait(10)


def test_the_deeper_rule_holds_whatever_the_order(house: House) -> None:
    bare = house.state / "work.git"
    for name in ("refs/heads/qd/agent-1", "refs/heads/qd/agent-2", "hooks", "private"):
        (bare / name).mkdir(parents=True)
        (bare / name / "file").write_text(name)
    done = house.shell(
        f"cd '{bare}' && cat hooks/file && ! ls private/file && ! touch hooks/new"
        " && ! touch refs/heads/qd/agent-2/new && touch refs/heads/qd/agent-1/new",
        read_write=[str(bare / "refs/heads/qd/agent-1")],
        read_only=[str(bare)],
        hidden=[str(house.state), str(bare / "private")],
    )
    assert done.returncode == 0, done.stderr


def test_a_hidden_file_reads_as_empty(house: House) -> None:
    secret = house.worktree / ".env"
    secret.write_text("KEY=1")
    assert house.shell("cat .env", hidden=[str(house.state), str(secret)]).stdout == ""
    assert secret.read_text() == "KEY=1"


def test_this_interpreter_and_package_work_inside(house: House) -> None:
    root = Path(sandbox.__file__).parent.parent
    code = "import agents.events, msgspec; print(agents.events.__file__)"
    for hidden in ([str(house.state)], [str(house.state), str(root)]):
        done = house.run("env", f"PYTHONPATH={root}", sys.executable, "-c", code, hidden=hidden)
        assert done.stdout.strip() == str(root / "agents" / "events.py"), done.stderr


def test_a_virtual_environment_below_the_hidden_state_works(house: House) -> None:
    """As when the checkout is the state directory and the environment lies in it."""
    venv = house.state / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=30)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from agents import sandbox as s, base as b\n"
    )
    code += "import msgspec; spec = msgspec.json.decode(sys.argv[2], type=b.LaunchSpec)\n"
    code += (
        "print(*s.wrap([sys.executable, '-c', 'import sys; print(sys.prefix)'], spec), sep=chr(0))"
    )
    (venv / "lib" / f"python3.{sys.version_info[1]}" / "site-packages" / "x.pth").write_text(
        str(Path(msgspec.__file__).parent.parent)
    )
    root, spec = Path(sandbox.__file__).parent.parent, msgspec.json.encode(house.spec())
    made = subprocess.run(
        [venv / "bin" / "python", "-c", code, root, spec],
        capture_output=True,
        timeout=30,
        text=True,
    )
    argv = made.stdout.rstrip("\n").split("\0")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == str(venv), made.stderr + done.stderr


def test_a_program_in_a_hidden_home_works_and_its_neighbours_stay_hidden(house: House) -> None:
    """As `~/.local/bin/tool` -> `~/.local/share/tool/current` -> `versions/1`, next to secrets."""
    share = house.state / "share" / "tool"
    (share / "versions").mkdir(parents=True)
    (share / "credentials").write_text("secret")
    shutil.copy("/bin/echo", share / "versions" / "1")
    (share / "current").symlink_to("versions/1")
    link = house.state / "bin" / "tool"
    link.parent.mkdir()
    link.symlink_to("../share/tool/current")
    assert house.run(str(link), "it works").stdout == "it works\n"
    done = house.run(str(link), "x", read_only=[])
    assert done.returncode == 0
    spec = house.spec()
    assert str(share / "credentials") not in " ".join(sandbox.wrap([str(link)], spec))


def test_a_script_is_shown_with_its_packages_and_its_interpreter(house: House) -> None:
    modules = house.state / "lib" / "node_modules"
    package = modules / "tool"
    package.mkdir(parents=True)
    (modules / "data.txt").write_text("from a neighbour package\n")
    interpreter = house.state / "bin" / "myshell"
    interpreter.parent.mkdir()
    shutil.copy("/bin/sh", interpreter)
    script = package / "cli.sh"
    script.write_text(
        '#!/usr/bin/env myshell\ncat "$(dirname "$(readlink -f "$0")")/../data.txt"\n'
    )
    script.chmod(0o755)
    (house.state / "bin" / "tool").symlink_to("../lib/node_modules/tool/cli.sh")
    spec = house.spec()
    path = f"{house.state / 'bin'}:{os.environ['PATH']}"
    spec = LaunchSpec(
        **{name: getattr(spec, name) for name in spec.__struct_fields__ if name != "env"},
        env={"PATH": path},
    )
    done = subprocess.run(
        sandbox.wrap(["tool"], spec), env=spec.env, capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "from a neighbour package\n", done.stderr


def test_a_home_is_never_shown_for_a_program_that_lies_in_it(house: House) -> None:
    program = house.state / "tool"
    shutil.copy("/bin/cat", program)
    done = house.run(str(program), str(house.state / "token"))
    assert done.returncode != 0
    assert "human's" not in done.stdout


def test_the_network_can_be_taken_away(house: House) -> None:
    count = "grep -c : /proc/net/dev"
    assert int(house.shell(count, network=False).stdout) == 1
    assert int(house.shell(count).stdout) == len(os.listdir("/sys/class/net"))  # noqa: PTH208


def test_names_can_be_resolved_inside(house: House) -> None:
    if not Path("/etc/resolv.conf").exists():
        pytest.skip("this machine resolves no names")
    assert house.shell("cat /etc/resolv.conf").returncode == 0


def test_what_does_not_exist_is_named(house: House) -> None:
    with pytest.raises(AgentError, match="/nowhere/at/all: it does not exist"):
        house.run("true", read_write=["/nowhere/at/all"])


def test_everything_inside_dies_with_the_box(house: House) -> None:
    box = subprocess.Popen(
        sandbox.wrap(["/bin/sh", "-c", "setsid sleep 600 & echo up; wait"], house.spec()),
        env=house.spec().env,
        stdout=subprocess.PIPE,
    )
    assert box.stdout is not None
    assert box.stdout.readline() == b"up\n"
    box.kill()
    # The orphan inside holds the pipe: its end is the end of the file.
    assert box.stdout.read() == b""
    box.stdout.close()
    box.wait(10)


def _git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()


def test_a_linked_worktree_commits_without_reach_into_the_others_objects(house: House) -> None:
    bare, objects = house.state / "work.git", house.state / "objects" / "agent-1"
    shutil.rmtree(house.worktree)
    seed = house.state / "seed"
    seed.mkdir()
    (seed / "file").write_text("one\n")
    _git("init", "-q", "-b", "main", cwd=seed)
    _git("add", ".", cwd=seed)
    _git("commit", "-qm", "first", cwd=seed)
    _git("clone", "-q", "--bare", str(seed), str(bare), cwd=house.state)
    _git("worktree", "add", "-q", "-b", "qd/agent-1/task", str(house.worktree), "main", cwd=bare)
    own = [bare / "refs/heads/qd/agent-1", bare / "logs/refs/heads/qd/agent-1"]
    for path in (*own, objects):
        path.mkdir(parents=True, exist_ok=True)
    box = {
        "read_only": [str(bare)],
        "read_write": [str(p) for p in (*own, bare / "worktrees/agent-1", objects)],
        "env": {
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(bare / "objects"),
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        },
    }
    done = house.shell("echo two >> file && git commit -qam second && git log --format=%s", **box)
    assert done.stdout.split() == ["second", "first"], done.stderr
    for attack in (
        f"git -C '{bare}' update-ref refs/heads/main qd/agent-1/task",
        f"rm -rf '{bare}/objects' && ! ls '{bare}/objects'",
        f"git -C '{bare}' config core.fsmonitor /bin/false",
        f"echo x > '{bare}/hooks/post-commit'",
        f"git -C '{bare}' branch other",
    ):
        assert house.shell(attack, **box).returncode != 0, attack
    assert _git("fsck", "--no-dangling", "main", cwd=bare) == ""
    assert _git("rev-parse", "main", cwd=bare) == _git("rev-parse", "HEAD", cwd=seed)
