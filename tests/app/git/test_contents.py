"""Contents of many blobs by their ids."""

from app.git.clones import Clones
from app.git.contents import blob_sizes, contents
from app.git.run import run_git


def _blob(clones: Clones, content: bytes) -> str:
    return run_git(["hash-object", "-w", "--stdin"], git_dir=clones.gate, stdin=content).text


def test_it_reads_many_at_once(clones: Clones) -> None:
    made = {_blob(clones, content): content for content in (b"", b"one\n", b"\n\n", b"x" * 70_000)}
    assert contents(clones, made, 1 << 20) == made
    assert blob_sizes(clones, made) == {oid: len(content) for oid, content in made.items()}


def test_it_leaves_out_what_is_large_or_missing(clones: Clones) -> None:
    small, large = _blob(clones, b"x"), _blob(clones, b"x" * 11)
    tree = run_git(["mktree"], git_dir=clones.gate).text
    assert contents(clones, [small, large, tree, "1" * 40], 10) == {small: b"x"}
    assert contents(clones, [], 10) == {}
