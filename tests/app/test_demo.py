"""The demo, driven headlessly to its end with the vendors' real programs; and a small fleet."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`quarterdeck` with these arguments, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        cwd=ROOT,
        env={**os.environ, "QUARTERDECK_HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )


def test_the_demo_keeps_every_promise(tmp_path: Path) -> None:
    done = run(tmp_path / "home", "demo", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    for scene in (
        "merged",
        "unseen",
        "unticked",
        "warned",
        "coupled",
        "caught",
        "conflicted",
        "resumed",
    ):
        assert f"held  {scene}" in done.stdout


def test_a_small_fleet_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Latency is for the benchmark; here only what must hold on any machine."""
    small = ("--agents", "8", "--viewers", "2", "--seconds", "3", "--json")
    done = run(tmp_path / "home", "bench", "fleet", *small)
    assert done.returncode == 0, done.stderr
    bars = {bar["name"]: bar for bar in json.loads(done.stdout)["bars"]}
    assert bars["records lost"]["value"] == bars["records doubled"]["value"] == 0
