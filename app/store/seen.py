"""Queries on what the human looked at."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import update
from sqlmodel import Session as Orm
from sqlmodel import col, select

from app.models import SeenFile
from app.store.upsert import upsert

_KEY = ("repository_id", "path", "old_blob", "new_blob")
_AT_ONCE = 500  # names in one query


def of_paths(db: Orm, repository_id: int, paths: Sequence[str]) -> list[SeenFile]:
    """Every content of these paths that was ever looked at."""
    found: list[SeenFile] = []
    for at in range(0, len(paths), _AT_ONCE):
        wanted = select(SeenFile).where(
            SeenFile.repository_id == repository_id,
            col(SeenFile.path).in_(paths[at : at + _AT_ONCE]),
        )
        found += db.exec(wanted)
    return found


def keep(db: Orm, rows: Iterable[dict[str, Any]]) -> None:
    """Note what was looked at, once for each content; the newest look counts."""
    upsert(db, SeenFile, _KEY, list(rows))


def untick(db: Orm, rows: Iterable[SeenFile]) -> None:
    ids = [row.id for row in rows]
    statement = update(SeenFile).where(col(SeenFile.id).in_(ids)).values(is_ticked=False)
    db.connection().execute(statement)


def earlier_looks(db: Orm, merge_request_id: int, head_sha: str) -> list[SeenFile]:
    """The looks at this request at other heads than its present one, oldest first."""
    wanted = select(SeenFile).where(
        SeenFile.merge_request_id == merge_request_id, SeenFile.head_sha != head_sha
    )
    return list(db.exec(wanted.order_by(col(SeenFile.seen_at))))
