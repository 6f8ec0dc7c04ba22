"""The command line: thin verbs. Heavy imports wait inside the verbs, so `--help` is quick."""

import sys

from app.cli.main import cli
from app.show import complain


def main() -> None:
    """The `quarterdeck` command; without a verb it serves. One sentence and status 1 on refusal."""
    try:
        cli(args=_with_verb(sys.argv[1:]), prog_name="quarterdeck")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not _is_sentence(error):
            raise
        complain(str(error))
        sys.exit(1)


def _with_verb(arguments: list[str]) -> list[str]:
    """`quarterdeck --port 9000` means `quarterdeck serve --port 9000`."""
    first = arguments[0] if arguments else "-"
    general = ("--help", "--version", "--install-completion", "--show-completion")
    return ["serve", *arguments] if first.startswith("-") and first not in general else arguments


def _is_sentence(error: Exception) -> bool:
    from agents.errors import AgentError
    from app.errors import AppError

    return isinstance(error, AppError | AgentError)
