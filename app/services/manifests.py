"""What a project's manifest says it depends on and runs at install time, read as data. Pure.

A file that can't be parsed says nothing: it is hostile, or half of a merge.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

# No text, no TOML or JSON, other tables than expected, or nested to break the parser.
_UNREADABLE = (ValueError, AttributeError, TypeError, RecursionError)

Named = dict[str, str]  # a dependency's or script's name: what it says of it

_REQUIREMENTS = re.compile(r"requirements[^/]*\.(txt|in)|constraints[^/]*\.txt")
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(.*)", re.DOTALL)
_WHO = re.compile(r"://[^/@\s]*@")
_GO_REQUIRED = re.compile(r"^\s*(?:require\s+)?([\w.~-]+\.[\w./~-]+)\s+(v\S+)", re.MULTILINE)
_GEM = re.compile(r"^\s*gem\s+[\"']([^\"']+)[\"'](.*)$", re.MULTILINE)
_INSTALL_SCRIPTS = (
    *("preinstall", "install", "postinstall", "prepare", "prepublish", "prepublishOnly"),
    *("prepack", "postpack", "dependencies"),
)


def is_manifest(path: str) -> bool:
    """Whether a file says what a project depends on, in a form that is read here."""
    return _reader(path) is not None


def dependencies(path: str, content: bytes | None) -> Named:
    """Each dependency with its version, or whatever else names its source."""
    reader = _reader(path)
    if reader is None or content is None:
        return {}
    try:
        return dict(reader(content.decode("utf-8")))
    except _UNREADABLE:
        return {}


def install_scripts(path: str, content: bytes | None) -> Named:
    """What runs by itself when somebody installs the project: scripts and build backends."""
    name = PurePosixPath(path.lower()).name
    try:
        if name == "package.json" and content:
            scripts = json.loads(content).get("scripts", {})
            return {key: str(scripts[key]) for key in _INSTALL_SCRIPTS if key in scripts}
        if name == "pyproject.toml" and content:
            built = tomllib.loads(content.decode("utf-8")).get("build-system", {})
            keys = ("build-backend", "backend-path")
            return {key: str(built[key]) for key in keys if key in built}
    except _UNREADABLE:
        return {}
    return {}


def _reader(path: str) -> Callable[[str], Iterator[tuple[str, str]]] | None:
    name = PurePosixPath(path.lower()).name
    if _REQUIREMENTS.fullmatch(name) or "/requirements/" in f"/{path.lower()}":
        return _requirements if name.endswith((".txt", ".in")) else None
    return _READERS.get(name)


def _package_json(text: str) -> Iterator[tuple[str, str]]:
    raw = json.loads(text)
    for table in ("dependencies", "optionalDependencies", "peerDependencies", "devDependencies"):
        for name, said in raw.get(table, {}).items():
            yield name, str(said)


def _composer(text: str) -> Iterator[tuple[str, str]]:
    raw = json.loads(text)
    for table in ("require", "require-dev"):
        for name, said in raw.get(table, {}).items():
            yield name, str(said)


def _pyproject(text: str) -> Iterator[tuple[str, str]]:
    raw = tomllib.loads(text)
    project = raw.get("project", {})
    groups = [project.get("dependencies", []), raw.get("build-system", {}).get("requires", [])]
    groups += project.get("optional-dependencies", {}).values()
    groups += raw.get("dependency-groups", {}).values()
    for said in (said for group in groups for said in group if isinstance(said, str)):
        yield from _requirement(said)
    poetry = raw.get("tool", {}).get("poetry", {})
    tables = [poetry, *poetry.get("group", {}).values()]
    for table in tables:
        for key in ("dependencies", "dev-dependencies"):
            for name, source in table.get(key, {}).items():
                yield name.lower(), str(source)


def _cargo(text: str) -> Iterator[tuple[str, str]]:
    raw = tomllib.loads(text)
    tables: list[Any] = [raw, raw.get("workspace", {}), *raw.get("target", {}).values()]
    for table in tables:
        for key in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name, said in table.get(key, {}).items():
                yield name, str(said)


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        said = line.partition(" #")[0].strip()
        if said.startswith(("-e", "--editable", "git+", "http://", "https://")):
            source = _WHO.sub("://", said)  # names are shown, a password in them is not
            yield source, source
        elif said and not said.startswith(("#", "-")):
            yield from _requirement(said)


def _requirement(said: str) -> Iterator[tuple[str, str]]:
    found = _REQUIREMENT.match(said.strip())
    if found:
        yield re.sub(r"[-_.]+", "-", found[1]).lower(), found[2].strip()


def _go_mod(text: str) -> Iterator[tuple[str, str]]:
    for name, said in _GO_REQUIRED.findall(text):
        yield name, said
    for line in text.splitlines():
        if "=>" in line and not line.lstrip().startswith("//"):
            said = line.replace("replace", "", 1).strip()
            yield f"replace {said.partition(' ')[0]}", said


def _gemfile(text: str) -> Iterator[tuple[str, str]]:
    for name, said in _GEM.findall(text):
        yield name, said.strip(" ,")


_READERS = {
    "package.json": _package_json,
    "composer.json": _composer,
    "pyproject.toml": _pyproject,
    "cargo.toml": _cargo,
    "go.mod": _go_mod,
    "gemfile": _gemfile,
}
