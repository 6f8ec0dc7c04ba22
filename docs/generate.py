"""Writes the pages that list what the code knows (`make docs`); tests/test_docs.py compares."""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from app.cli.main import cli
from app.settings import Settings

DOCS = Path(__file__).parent
NOTE = "<!-- Written by `make docs`; change the code instead. -->\n"


def settings_page() -> str:
    """Every setting with its variable, type, default and meaning."""
    rows = []
    for name, about in _field_docs().items():
        field = Settings.model_fields[name]
        default = "" if field.is_required() or field.default is None else repr(field.default)
        if field.default_factory is not None:
            default = "see below"
        kind = getattr(field.annotation, "__name__", str(field.annotation))
        rows.append(f"| `QUARTERDECK_{name.upper()}` | {kind} | `{default}` | {about} |")
    table = "\n".join(["| variable | type | default | meaning |", "|---|---|---|---|", *rows])
    return f"""# Settings

{NOTE}
Read once at start from environment variables. Lists are JSON: `'["deck.example.org"]'`.

{table}

`QUARTERDECK_HOME` is the checkout's `.quarterdeck/` when run from one, else the platform's state
directory (`~/.local/state/quarterdeck` on Linux). It is made private (0700). What a repository
says about itself is in its own file: [quarterdeck-toml.md](quarterdeck-toml.md).
"""


def cli_page() -> str:
    """Every verb with its arguments and options."""
    root: Any = typer.main.get_command(cli)
    parts = []
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            parts.append(f"## quarterdeck {name}\n\n{command.help}\n")
            parts += [_verb(["quarterdeck", name], each) for each in command.commands.values()]
        else:
            parts.append(_verb(["quarterdeck"], command))
    verbs = "\n".join(parts)
    return f"""# Command line

{NOTE}
`quarterdeck` without a verb serves. The verbs of `task`, `agent`, `account`, `repository`,
`review` and `permission` talk to the server that runs for `QUARTERDECK_HOME`, through the
[JSON API](architecture.md#the-json-api); the others work on this machine directly. A refusal is
one sentence on standard error and status 1.

{verbs}"""


def llms_page() -> str:
    """The guides by their first lines, for programs that read."""
    pages = [path for path in sorted(DOCS.rglob("*.md")) if "images" not in path.parts]
    lines = [f"- [{_title(path)}]({path.relative_to(DOCS)}): {_first(path)}" for path in pages]
    return (
        "# Quarterdeck\n\n> One human commands many parallel coding agents: worktrees, live logs, "
        "quotas, merges.\n\n" + "\n".join(lines) + "\n"
    )


def pages() -> dict[Path, str]:
    """Every generated page by its path; llms.txt last, since it reads the others."""
    return {
        DOCS / "settings.md": settings_page(),
        DOCS / "cli.md": cli_page(),
        DOCS / "llms.txt": llms_page(),
    }


def _field_docs() -> dict[str, str]:
    """The string under each field of Settings, which Python itself does not keep."""
    tree = ast.parse(Path(DOCS.parent / "app" / "settings.py").read_text())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    docs: dict[str, str] = {}
    for field, after in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(after.value, ast.Constant)
            docs[field.target.id] = " ".join(str(after.value.value).split())
    return docs


def _verb(path: list[str], command: Any) -> str:
    words = [*path, command.name or ""]
    context = typer.Context(command, info_name=" ".join(words))
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    heading = "##" if len(path) == 1 else "###"
    options = [_option(each) for each in command.params if each.param_type_name == "option"]
    about = " ".join((command.help or "").split())
    listed = "\n".join(filter(None, options))
    parts = [f"{heading} {' '.join(words)}", about, f"```\n{usage}\n```", listed]
    return "\n\n".join(filter(None, parts)) + "\n"


def _option(option: Any) -> str:
    if "--help" in option.opts or option.hidden:
        return ""
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" {(option.name or '').upper()}"
    return f"- {names}{value}: {option.help or ''}"


def _title(path: Path) -> str:
    return path.read_text().splitlines()[0].lstrip("# ")


def _first(path: Path) -> str:
    """The first sentence of the first paragraph that says something."""
    text = re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.S)
    text = re.sub(r"^(#|Status: ).*$", "", text, flags=re.M)
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return re.split(r"(?<=\.) ", next(filter(None, paragraphs), ""))[0]


def main(_: Any = None) -> None:
    for path, text in pages().items():
        path.write_text(text)
    (DOCS / "llms.txt").write_text(llms_page())


if __name__ == "__main__":
    main()
