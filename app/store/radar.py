"""Queries on the conflict radar's stored look."""

from typing import Any

from sqlmodel import Session as Orm
from sqlmodel import select

from app.models import MergeRequest, Radar


def get(db: Orm, repository_id: int, base_branch: str) -> Radar | None:
    return db.get(Radar, (repository_id, base_branch))


def bases(db: Orm) -> set[tuple[int, str]]:
    """Repository id and base branch of every look, without what it saw."""
    return set(db.exec(select(Radar.repository_id, Radar.base_branch)))


def every(db: Orm) -> dict[tuple[int, str], Radar]:
    """All of them, by repository id and base branch."""
    return {(row.repository_id, row.base_branch): row for row in db.exec(select(Radar))}


def collisions_of(radar: Radar | None, key: str) -> list[dict[str, Any]]:
    """What the member of that key collides with, seen from its side: `other` is never it."""
    found = []
    for each in radar.collisions if radar else []:
        if key == each["one"]:
            found.append(each)
        elif key == each["other"]:
            found.append({**each, "one": key, "other": each["one"]})
    return found


def overlaps(radar: Radar | None, request: MergeRequest) -> list[dict[str, Any]]:
    """The open merge requests that this one conflicts with: [{merge_request_id, paths}]."""
    return [
        {"merge_request_id": int(each["other"]), "paths": each["paths"]}
        for each in collisions_of(radar, str(request.id))
        if each["kind"] == "text" and each["other"].isdigit()
    ]
