"""One base of the radar: its members compared by text and by symbols, and remembered.

What did not change since the last look is not asked of git again, so a change costs only its own
pairs.
"""

import time
from collections import Counter
from dataclasses import asdict
from itertools import combinations
from typing import Any

import structlog

from app.git import gate
from app.git.clones import Clones
from app.git.matrix import Clash, Pair, clashes
from app.git.symbols_edits import Edits, Reader, Span
from app.git.symbols_hints import Compared, Hint, compare
from app.models import Radar
from app.services.radar_members import BASE, Field, Member, Roster

SYMBOL_SECONDS = 2.0  # of one pass; the rest is read by the next
_SAYS = {
    "removed": "{one} removes {name} ({path}); {other} uses it in {place}",
    "moved": "{one} moves {name} away from {path}; {other} uses it in {place}",
    "signature": "{one} changes the signature of {name} ({path}); {other} uses it in {place}",
    "body": "{one} changes {name} ({path}); {other} uses it in {place}",
    "both": "{one} and {other} both change {name} ({path})",
}

log = structlog.get_logger()


class Look:
    """What is known of one base."""

    def __init__(self) -> None:
        self._roster, self._reader = Roster(), Reader()
        self._members: list[Member] = []  # as stored
        self._newest: list[Member] = []
        self._edits: dict[Span, Edits] = {}
        self._compared: dict[tuple[Span, Span], Compared] = {}
        self._clashes: dict[Pair, Clash] = {}
        self._forks: dict[Pair, str] = {}
        self._is_whole = True  # False: for some symbols there was no time yet
        self._problem = ""

    def complain(self, field: Field, problem: str) -> None:
        """Log it, once as long as it stays the same."""
        if problem != self._problem:
            log.warning("radar", repository=field.repository.slug, problem=problem)
        self._problem = problem

    def keep(self) -> None:
        """The row is stored: what differs from it counts from now on."""
        self._members = self._newest

    def renew(self, field: Field) -> Radar | None:
        """The radar's row, or None where nothing differs from the last one kept."""
        started = time.perf_counter()
        members = self._roster.members(field)
        self._problem = ""
        if members == self._members and self._is_whole:
            return None
        if not self._is_whole:
            self._compared = {}
        spans = self._read(field.clones, members)
        files = {member: self._edits[spans[member]].paths for member in members[1:]}
        # a session that has changed nothing yet is in nobody's way
        shown = [m for m in members if m.merge_request_id or m.key == BASE or files[m]]
        pairs = [two for two in combinations(shown, 2) if not two[0].is_same_work(two[1])]
        self._merge(field.clones, pairs)
        self._compare(pairs, spans)
        self._newest = members
        unread = Counter[str]()
        for member in shown[1:]:
            unread.update(self._edits[spans[member]].unread)
        return Radar(
            repository_id=field.repository.id or 0,
            base_branch=field.base_branch,
            members=[{**asdict(m), "files": len(files.get(m, ()))} for m in shown],
            collisions=[found for two in pairs for found in self._collisions(*two, spans)],
            uncovered=dict(unread.most_common()),
            took_ms=round((time.perf_counter() - started) * 1000, 1),
        )

    def _read(self, clones: Clones, members: list[Member]) -> dict[Member, Span]:
        """Read what each did since it left the base, and what the base did since then."""
        base, *others = members
        ends = [(base.sha, member.sha) for member in others]
        self._forks = {
            end: self._forks.get(end) or gate.merge_base(clones, *end) or base.sha for end in ends
        }
        spans = {member: (self._forks[base.sha, member.sha], member.sha) for member in others}
        behind = {(fork, base.sha) for fork, _ in spans.values()}
        self._edits = self._reader.read(clones, [*spans.values(), *behind], SYMBOL_SECONDS)
        self._is_whole = all(found.is_whole for found in self._edits.values())
        return spans

    def _merge(self, clones: Clones, pairs: list[tuple[Member, Member]]) -> None:
        wanted = dict.fromkeys(_pair(*two) for two in pairs)
        known = {pair: self._clashes[pair] for pair in wanted if pair in self._clashes}
        self._clashes = known | clashes(clones, [pair for pair in wanted if pair not in known])

    def _compare(self, pairs: list[tuple[Member, Member]], spans: dict[Member, Span]) -> None:
        known, self._compared = self._compared, {}
        for one, other in pairs:
            key = self._sides(one, other, spans)
            found = known.get(key)
            if found is None:
                conflicting = frozenset(self._clashes[_pair(one, other)] or ())
                found = compare(self._edits[key[0]], self._edits[key[1]], conflicting)
            self._compared[key] = found

    def _sides(self, one: Member, other: Member, spans: dict[Member, Span]) -> tuple[Span, Span]:
        """Whose changes are compared: of the base, what it did since the other left it."""
        if one.key == BASE:
            return (self._forks[one.sha, other.sha], one.sha), spans[other]
        return spans[one], spans[other]

    def _collisions(
        self, one: Member, other: Member, spans: dict[Member, Span]
    ) -> list[dict[str, Any]]:
        clash = self._clashes[_pair(one, other)]
        found = [] if clash is None else [_collision(one, other, "text", list(clash), [])]
        compared = self._compared[self._sides(one, other, spans)]
        told = [
            *(_told(one, other, hint) for hint in compared.one_changes),
            *(_told(other, one, hint) for hint in compared.other_changes),
            *(_told(one, other, hint) for hint in compared.both_change),
        ]
        if told:
            paths = sorted({each[side] for each in told for side in ("path", "other_path")})
            found.append(_collision(one, other, "symbol", paths, told))
        return found


def _pair(one: Member, other: Member) -> Pair:
    return (one.sha, other.sha) if one.sha < other.sha else (other.sha, one.sha)


def _collision(
    one: Member, other: Member, kind: str, paths: list[str], symbols: list[dict[str, str]]
) -> dict[str, Any]:
    return {
        "one": one.key,
        "other": other.key,
        "kind": kind,
        "paths": paths,
        "symbols": symbols,
    }


def _told(one: Member, other: Member, hint: Hint) -> dict[str, str]:
    says = _SAYS[hint.how].format(
        one=one.label,
        other=other.label,
        name=hint.name,
        path=f"{hint.path}:{hint.line}",
        place=f"{hint.other_path}:{hint.other_line}",
    )
    return {"name": hint.name, "path": hint.path, "other_path": hint.other_path, "says": says}
