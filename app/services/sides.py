"""Reads what rules need beyond a diff's lines: manifests, and code that they parse, whole."""

from app.git.clones import Clones
from app.git.contents import blob_sizes, contents
from app.git.diffs import FileDiff
from app.git.symbols import language_of
from app.services.change import Sides
from app.services.manifests import is_manifest
from app.services.sizes import kind_of

_MAX_BYTES = 256 << 10  # of a file: larger ones are hardly written by hand
_MAX_FILES = 400
_KINDS = ("code", "tests")


def read_sides(clones: Clones, files: list[FileDiff]) -> dict[str, Sides]:
    """Before and after of the files that `wants_sides`, by new path; two gits in all."""
    wanted = [file for file in files if wants_sides(file)][:_MAX_FILES]
    oids = {oid for file in wanted for oid in (_oid(file.old_blob), _oid(file.new_blob)) if oid}
    found = contents(clones, oids, _MAX_BYTES)
    return {
        file.path: Sides(found.get(_oid(file.old_blob)), found.get(_oid(file.new_blob)))
        for file in wanted
        if all(oid in found for oid in (_oid(file.old_blob), _oid(file.new_blob)) if oid)
    }


def binary_bytes(clones: Clones, files: list[FileDiff]) -> dict[str, int]:
    """The sizes of the binary files that are there after the change, by new path."""
    oids = {file.path: _oid(file.new_blob) for file in files if file.is_binary and file.new_blob}
    found = blob_sizes(clones, oids.values()) if oids else {}
    return {path: found[oid] for path, oid in oids.items() if oid in found}


def wants_sides(file: FileDiff) -> bool:
    """Whether a rule looks at the whole of a file: it can be parsed, and it is worth it."""
    if file.is_binary or "160000" in (file.old_mode, file.new_mode):
        return False
    is_read = language_of(file.path) is not None and kind_of(file.path) in _KINDS
    return is_manifest(file.path) or is_read


def _oid(blob: str) -> str:
    return blob.rpartition(":")[2]
