"""What a measurement was made on."""

import os
import platform
import sqlite3
import subprocess
from pathlib import Path

from app import __version__


def describe() -> dict[str, object]:
    """Machine and versions, in words."""
    return {
        "machine": f"{os.cpu_count()} cores, {_cpu()}, {_memory_gib():.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        "versions": f"quarterdeck {__version__}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {_git()}",
    }


def load() -> str:
    """Load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _git() -> str:
    try:
        done = subprocess.run(["git", "version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "no git"
    return done.stdout.strip()
