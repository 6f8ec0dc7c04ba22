# ruff: noqa: RUF001, RUF002 (sizes are well set)
"""What a row of the review list says in a few words: size by kind, risks, what was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.models import MergeRequest
from app.services.deciding import Gate
from app.web import format as fmt

_RISKS = {
    "public_interface": "public API",
    "executes_on_your_machine": "runs on your machine",
    "foreign_commits": "commits by others",
    "rename_edited": "renamed and edited",
    "line_endings": "line endings only",
    "no_commits": "no commits",
    "paths": "watched paths",
}


@dataclass(frozen=True)
class Size:
    """Lines of code, or of all where there is none; the other kinds as words."""

    additions: int
    deletions: int
    rest: list[str]  # "tests +96", "docs only"


def size(request: MergeRequest) -> Size:
    kinds = {name: each for name, each in request.sizes.items() if each.get("files")}
    if "code" in kinds:
        code = kinds.pop("code")
        rest = [f"{name} {_net(each)}" for name, each in kinds.items()]
        return Size(code["additions"], code["deletions"], rest)
    only = [f"{' and '.join(kinds)} only"] if kinds else []
    return Size(request.additions, request.deletions, only)


def _net(lines: Mapping[str, int]) -> str:
    """The larger of what came and what went: "+96", "−14"."""
    added, deleted = lines["additions"], lines["deletions"]
    return f"+{fmt.count(added)}" if added >= deleted else f"−{fmt.count(deleted)}"


def risks(found: Sequence[Mapping[str, Any]]) -> str:
    """The kinds, heaviest first: "schema, public API"."""
    return ", ".join(_RISKS.get(each["kind"], each["kind"].replace("_", " ")) for each in found)


def todo(gate: Gate) -> str:
    """What must be looked at before an approval: "3 files to tick"; "" where nothing."""
    if gate.care == "glance" or not (gate.missing or not gate.is_known):
        return ""
    if not gate.is_known:
        return "its diff is being computed"
    files = fmt.plural(len(gate.missing), "file")
    return f"{files} to tick" if gate.care == "study" else f"{files} to look at"


def seen(gate: Gate) -> str:
    """What the human knows of it: "2 changed since you looked", "3 of 6 ticked", "seen"."""
    if changed := gate.count("changed"):
        return f"{changed} changed since you looked"
    if gate.care == "study" and (ticked := gate.count("ticked")):
        return f"{ticked} of {len(gate.states)} ticked"
    return "seen" if gate.states and not gate.count("new") else ""
