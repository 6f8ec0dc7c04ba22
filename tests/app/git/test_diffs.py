"""Diffs as data: right, bounded, and hostile text stays text."""

import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import AppError, NotFound
from app.git.clones import Clones
from app.git.cloning import sync
from app.git.diffs import FileDiff, Limits, blob, changed_paths, diff, file_diff, is_generated, stat
from tests.app.git.shell import human_commits, plain_git, write


def changed(clones: Clones, files: dict[str, str]) -> tuple[str, str]:
    base = plain_git(clones.human, "rev-parse", "HEAD")
    head = human_commits(clones.human, files)
    sync(clones)
    return base, head


def by_path(files: tuple[FileDiff, ...]) -> dict[str, FileDiff]:
    return {file.path: file for file in files}


def test_it_shows_every_kind_of_change(clones: Clones, human: Path) -> None:
    write(human, {"old name": "1\n2\n3\n4\n5\n6\n", "mode": "m\n", "kind": "k\n"})
    (human / "data.bin").write_bytes(b"\0\1\2")
    base = human_commits(human, {"gone": "gone\n"})
    plain_git(human, "mv", "old name", "new\nname \u202e<b>")
    write(human, {"new\nname \u202e<b>": "1\n2\n3\n4\n5\nsix\n"})
    (human / "mode").chmod(0o755)
    (human / "kind").unlink()
    (human / "kind").symlink_to("mode")
    (human / "data.bin").write_bytes(b"\0\1\2\3")
    (human / "gone").unlink()
    head = human_commits(human, {"added": "a\nb", "poetry.lock": "x\n", "empty": ""})
    sync(clones)
    files = by_path(diff(clones, base, head))
    assert {path: file.status for path, file in files.items()} == {
        "added": "added",
        "data.bin": "modified",
        "empty": "added",
        "gone": "deleted",
        "kind": "retyped",
        "mode": "modified",
        "new\nname \u202e<b>": "renamed",
        "poetry.lock": "added",
    }
    renamed = files["new\nname \u202e<b>"]
    assert (renamed.old_path, renamed.additions, renamed.deletions) == ("old name", 1, 1)
    lines = [(x.kind, x.old_no, x.new_no, x.text) for x in renamed.hunks[0].lines]
    assert lines[-2:] == [("-", 6, None, "6"), ("+", None, 6, "six")]
    assert lines[0] == (" ", 3, 3, "3")
    assert files["mode"].mode_change == "100644 → 100755"
    assert files["mode"].hunks == ()
    oid = plain_git(human, "rev-parse", "HEAD:mode")
    assert (files["mode"].old_blob, files["mode"].new_blob) == (f"100644:{oid}", f"100755:{oid}")
    assert (files["added"].old_blob, files["gone"].new_blob) == ("", "")
    assert files["data.bin"].is_binary
    assert not files["data.bin"].is_cut
    assert files["poetry.lock"].is_generated
    assert [x.kind for x in files["added"].hunks[0].lines] == ["+", "+", "\\"]
    assert len(files["kind"].hunks) == 2
    assert files["kind"].new_mode == "120000"
    assert stat(clones, base, head).files == len(files)
    assert "old name" in changed_paths(clones, base, head)
    assert msgspec.json.decode(msgspec.json.encode(renamed), type=FileDiff) == renamed


def test_lines_that_look_like_git_are_lines(clones: Clones) -> None:
    hostile = "diff --git a/x b/x\n@@ -1,1 +1,1 @@\n--- a/x\n+++ b/x\n\\ No newline\n"
    base, head = changed(clones, {"a": hostile, "b": "-- x\n++ y\n", "c": "c\r\n\x0c\x1b[31m\n"})
    files = by_path(diff(clones, base, head))
    assert [x.text for x in files["a"].hunks[0].lines] == hostile.splitlines()
    assert [x.text for x in files["b"].hunks[0].lines] == ["-- x", "++ y"]
    assert [x.text for x in files["c"].hunks[0].lines] == ["c\r", "\x0c\x1b[31m"]


def test_it_is_bounded(clones: Clones, human: Path) -> None:
    base = plain_git(human, "rev-parse", "HEAD")
    write(human, {"uv.lock": "line\n" * 300_000, "long": "x" * 1_000_000 + "\n"})
    for number in range(30):
        write(human, {f"src/f{number:02}": f"{number}\n" * 100})
    with open(human / "huge.bin", "wb") as file:
        for _ in range(30):
            file.write(bytes(range(256)) * 4096)
    head = human_commits(human, {"last": "last\n"})
    sync(clones)
    files = by_path(diff(clones, base, head, Limits(file_lines=500, total_lines=1_000)))
    assert len(files) == 34
    assert files["uv.lock"].additions == 300_000
    assert files["uv.lock"].is_cut
    assert files["uv.lock"].hunks == ()
    assert files["huge.bin"].is_binary
    assert len(files["long"].hunks[0].lines[0].text) == 2_001
    shown = [file for file in files.values() if file.hunks]
    assert sum(len(hunk.lines) for file in shown for hunk in file.hunks) <= 1_000
    assert files["src/f29"].is_cut
    assert not files["src/f29"].hunks
    whole = file_diff(clones, base, head, "src/f29")
    assert not whole.is_cut
    assert len(whole.hunks[0].lines) == 100
    short = diff(clones, base, head, Limits(total_bytes=2_000))
    assert any(file.is_cut for file in short)
    with pytest.raises(NotFound):
        file_diff(clones, base, head, "README.md")


def test_ten_thousand_lines_over_three_hundred_files_come_whole(
    clones: Clones, human: Path
) -> None:
    names = [f"src/module_{number:03}.py" for number in range(300)]
    text = "".join(f"old {line} {'x' * 60}\n" for line in range(120))
    write(human, dict.fromkeys(names, text))
    base = human_commits(human, {"last": "last\n"})
    for name in names:
        lines = (human / name).read_text().split("\n")
        lines[::7] = [f"new {line}" for line in lines[::7]]
        write(human, {name: "\n".join(lines)})
    head = human_commits(human, {"last": "lasting\n"})
    sync(clones)
    files = diff(clones, base, head)
    assert len(files) == 301
    assert sum(file.additions + file.deletions for file in files) > 10_000
    assert not any(file.is_cut for file in files)


def test_a_file_that_made_room_for_a_folder(clones: Clones, human: Path) -> None:
    base = human_commits(human, {"a": "1\n2\n3\n4\n5\n"})
    plain_git(human, "mv", "a", "b")
    head = human_commits(human, {"b": "1\n2\n3\n4\nfive\n", "a/big": "x\n" * 50, "a/last": "l\n"})
    sync(clones)
    files = by_path(diff(clones, base, head, Limits(file_lines=10)))
    assert files["a/big"].hunks == ()
    assert files["a/last"].hunks[0].lines[0].text == "l"
    assert files["b"].hunks[0].lines[-1].text == "five"


def test_equal_trees_have_no_diff(clones: Clones, base: str) -> None:
    assert diff(clones, base, base) == ()
    with pytest.raises(AppError):
        diff(clones, base, "--output=/tmp/x")


def test_blobs_come_from_the_tree_only(clones: Clones, human: Path) -> None:
    (human / "link").symlink_to("/etc/passwd")
    head = human_commits(human, {"a b/ü": "content\n", "*": "star\n"})
    sync(clones)
    assert blob(clones, head, "a b/ü").content == b"content\n"
    assert blob(clones, head, "*").content == b"star\n"
    cut = blob(clones, head, "a b/ü", max_bytes=3)
    assert (cut.content, cut.size, cut.is_cut) == (b"con", 8, True)
    assert blob(clones, head, "link").content == b"/etc/passwd"
    for path in ("link/x", "src", "missing", "../x", "/etc/passwd", "a\0b", ":(top)README.md", ""):
        with pytest.raises(AppError):
            blob(clones, head, path)


@pytest.mark.parametrize(
    ("path", "does"),
    [("a/package-lock.json", True), ("x.min.js", True), ("clock.py", False), ("Cargo.lock", True)],
)
def test_it_knows_generated_files(path: str, does: bool) -> None:
    assert is_generated(path) is does


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(["a", "b", "", "@@ -1 +1 @@", "-x", "+y", "\\ z"]), max_size=30),
    st.lists(st.sampled_from(["a", "b", "", "@@ -1 +1 @@", "-x", "+y", "\\ z"]), max_size=30),
    st.booleans(),
)
def test_a_diff_rebuilds_the_new_file(
    clones: Clones, old: list[str], new: list[str], ends: bool
) -> None:
    texts = ["\n".join(old) + "\n" * bool(old), "\n".join(new) + "\n" * (ends and bool(new))]
    trees = []
    for text in texts:
        oid = _git_in(clones, "hash-object", "-w", "--stdin", stdin=text)
        trees.append(_git_in(clones, "mktree", stdin=f"100644 blob {oid}\tf\n"))
    files = diff(clones, trees[0], trees[1])
    result = texts[0].split("\n")
    rebuilt: list[str] = []
    at = 0
    for hunk in files[0].hunks if files else ():
        start = (
            max(hunk.old_start - 1, 0)
            if any(x.kind != "+" for x in hunk.lines)
            else (hunk.old_start)
        )
        rebuilt += result[at:start]
        at = start
        for line in hunk.lines:
            if line.kind in " -":
                assert result[at] == line.text
                at += 1
            if line.kind in " +":
                rebuilt.append(line.text)
    rebuilt += result[at:]
    assert [x for x in rebuilt if x] == [x for x in texts[1].split("\n") if x]


def _git_in(clones: Clones, *args: str, stdin: str) -> str:
    done = subprocess.run(
        ["git", *args], cwd=clones.gate, input=stdin, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
