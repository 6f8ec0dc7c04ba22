"""Which git: found once, refused where it is missing or too old."""

import re
import shutil
import subprocess
from functools import cache

from app.errors import RepositoryRefused

MINIMUM_VERSION = (2, 38)  # `merge-tree --write-tree`


@cache
def git_binary() -> str:
    """Git's path; refuses where there is none or it is too old."""
    path = shutil.which("git")
    if path is None:
        raise RepositoryRefused("git is not installed", "install git 2.38 or newer")
    said = subprocess.run([path, "version"], capture_output=True, timeout=30, check=False).stdout
    found = re.search(rb"(\d+)\.(\d+)", said)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    require_version(version)
    return path


def require_version(version: tuple[int, int]) -> None:
    """Raise RepositoryRefused where git is older than what merging needs."""
    if version < MINIMUM_VERSION:
        raise RepositoryRefused(
            f"git {version[0]}.{version[1]} is too old", "install git 2.38 or newer"
        )
