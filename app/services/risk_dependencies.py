"""Risks by what a change makes the project depend on, and lets run when it is installed."""

import re
from collections.abc import Iterator

from app.services.change import Change, Risk, counted, named, paths_of
from app.services.manifests import Named, dependencies, install_scripts, is_manifest
from app.services.sizes import kind_of

_ELSEWHERE = re.compile(r"git\+|github:|(git|ssh|http|https)://|^git@|\bgit\s*=|'git'|=>|^file:")


def changed_dependencies(change: Change) -> Iterator[Risk]:
    """Dependencies that are new, asked for in another version, or no longer needed."""
    new: Named = {}
    other: Named = {}
    gone: Named = {}
    where = []
    for path, sides in change.sides.items():
        before, after = dependencies(path, sides.old), dependencies(path, sides.new)
        if before != after:
            where.append(path)
        new |= {name: after[name] for name in after.keys() - before.keys()}
        gone |= {name: before[name] for name in before.keys() - after.keys()}
        other |= {n: after[n] for n in before.keys() & after.keys() if before[n] != after[n]}
    outside = {name: said for name, said in (new | other).items() if _ELSEWHERE.search(said)}
    for kind, points, says, found in (
        ("dependency_added", 40, "depends on code from outside its registry:", outside),
        ("dependency_added", 25, "depends on", {n: s for n, s in new.items() if n not in outside}),
        ("dependency_changed", 10, "asks for other versions of", other),
        ("dependency_changed", 5, "no longer depends on", gone),
    ):
        if found:
            yield Risk(kind, points, f"{says} {named(found)}", tuple(where))


def runs_at_install(change: Change) -> Iterator[Risk]:
    for path, sides in change.sides.items():
        before, after = install_scripts(path, sides.old), install_scripts(path, sides.new)
        changed = {name: after[name] for name in after if before.get(name) != after[name]}
        if changed:
            says = f"runs on your machine when installed: {named(changed)}"
            yield Risk("executes", 60, says, (path,))


def locks_alone(change: Change) -> Iterator[Risk]:
    """Pinned versions that move though nobody asked for other ones."""
    locks = [file for file in change.files if kind_of(file.path) == "locks"]
    if locks and not any(is_manifest(file.path) for file in change.files):
        says = f"{counted(len(locks), 'lock file')} changed without what is asked for"
        yield Risk("dependency_changed", 15, says, paths_of(locks))


RULES = (changed_dependencies, runs_at_install, locks_alone)
