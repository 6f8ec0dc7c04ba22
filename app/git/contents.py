"""Sizes and contents of many files at once, by blob ids: one git each, whatever their number."""

from collections.abc import Iterable

from app.git.clones import Clones
from app.git.run import require_oid, run_git

TOTAL_BYTES = 16 << 20  # read at once


def blob_sizes(clones: Clones, oids: Iterable[str]) -> dict[str, int]:
    """The sizes in bytes of those ids that are blobs of gate.git."""
    lines = _asked(clones, "--batch-check", oids).decode().splitlines()
    rows = [line.split(" ") for line in lines]
    return {row[0]: int(row[2]) for row in rows if row[1] == "blob"}


def contents(clones: Clones, oids: Iterable[str], max_bytes: int) -> dict[str, bytes]:
    """The bytes of blobs by id; larger ones, and those beyond 16 MB in all, are left out."""
    wanted, total = [], 0
    for oid, size in blob_sizes(clones, oids).items():
        if size <= max_bytes and total + size <= TOTAL_BYTES:
            wanted.append(oid)
            total += size
    return blobs(clones, wanted)


def blobs(clones: Clones, oids: Iterable[str]) -> dict[str, bytes]:
    """The bytes of all these blobs by id, whose sizes the caller knows; one that is gone is not."""
    found: dict[str, bytes] = {}
    stream, at = _asked(clones, "--batch", oids), 0
    while at < len(stream):  # "OID blob SIZE", the bytes, a line break; or "OID missing"
        end = stream.index(b"\n", at)
        oid, *said = stream[at:end].decode().split(" ")
        at = end + 1
        if len(said) == 2:
            at += int(said[1]) + 1
            found[oid] = stream[end + 1 : at - 1]
    return found


def _asked(clones: Clones, how: str, oids: Iterable[str]) -> bytes:
    names = "".join(f"{require_oid(oid)}\n" for oid in sorted(set(oids)))
    if not names:
        return b""
    return run_git(["cat-file", how], git_dir=clones.gate, stdin=names.encode()).stdout
