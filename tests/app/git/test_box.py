"""The box for git on an agent's files."""

import shutil
from pathlib import Path

import pytest

from app.git.box import Box, can_box
from app.git.clones import Clones
from app.git.run import run_git

needs_box = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@needs_box
def test_its_box_hides_the_home_and_keeps_the_rest_read_only(
    clones: Clones, tmp_path: Path
) -> None:
    assert can_box()
    secret = tmp_path / "secret"
    secret.write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    shell = f"!cat {secret}; touch {inside}/ok {clones.gate}/no; true"
    run_git(
        ["-c", f"alias.probe={shell}", "probe"],
        git_dir=clones.gate,
        box=Box((inside,), (clones.gate,)),
    )
    assert (inside / "ok").exists()
    assert not (clones.gate / "no").exists()
    said = run_git(
        ["-c", f"alias.probe=!cat {secret} || true", "probe"],
        git_dir=clones.gate,
        box=Box((), (clones.gate,)),
    )
    assert said.stdout == b""
