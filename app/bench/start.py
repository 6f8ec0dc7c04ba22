"""How long the command takes to say something: a CLI that agents call often must be quick."""

import argparse
import statistics
import subprocess
import sys
import time

from app.bench import Bar, Result
from app.paths import ROOT

_RUN = [sys.executable, "-c", "from app.cli import main; main()"]
HELP_SECONDS = 0.3


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=10, help="runs of each command")
    return parser


def run(options: argparse.Namespace) -> Result:
    """Median and worst seconds of verbs that need no server."""
    rows: list[tuple[object, ...]] = []
    medians: dict[str, float] = {}
    for verb in ("--version", "--help", "task --help"):
        seconds = [_once(verb.split()) for _ in range(max(1, options.repeat))]
        medians[verb] = round(statistics.median(seconds), 3)
        rows.append((verb, medians[verb], round(max(seconds), 3)))
    bar = Bar("`quarterdeck --help`, median", medians["--help"], HELP_SECONDS, "s")
    return Result(("verb", "median s", "worst s"), rows, [bar])


def _once(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([*_RUN, *arguments], cwd=ROOT, check=True, capture_output=True, timeout=60)
    return time.perf_counter() - started
