"""Becomes `quarterdeck/__init__.py` in the wheel: puts the shipped tree on the path, runs the CLI.

Only this file lands beside other people's packages; `app`, `agents` and the rest lie below
`quarterdeck/_root` and are importable in our own process alone (docs/adr/0001-packaging.md).
"""

import sys
from pathlib import Path

_root = Path(__file__).resolve().parent / "_root"


def main() -> None:
    """The `quarterdeck` command."""
    if _root.is_dir():
        sys.path.insert(0, str(_root))
    from app.cli import main as run

    run()
