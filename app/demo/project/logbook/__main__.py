"""The command line."""

import argparse
from pathlib import Path

from logbook.entries import load
from logbook.report import report
from logbook.search import find


def main() -> None:
    parser = argparse.ArgumentParser(prog="logbook")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("report").add_argument("log", type=Path)
    search = verbs.add_parser("search")
    search.add_argument("log", type=Path)
    search.add_argument("word")
    given = parser.parse_args()
    entries = load(given.log)
    if given.verb == "search":
        entries = find(entries, given.word)
    print(report(entries))


if __name__ == "__main__":
    main()
