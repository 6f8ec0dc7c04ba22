"""`python -m agents.rehearsal`: serves scenarios until it is told to stop."""

import argparse
from pathlib import Path

from agents.rehearsal.server import serve


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="agents.rehearsal", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--scenarios", type=Path, help="a directory of more scenarios")
    arguments = parser.parse_args()
    serve(arguments.port, arguments.scenarios)


if __name__ == "__main__":
    main()
