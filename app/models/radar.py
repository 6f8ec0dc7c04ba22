"""The conflict radar: who collides with whom, as last computed."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from app.models.base import json_field, time_field


class Radar(SQLModel, table=True):
    """All live work against one base. Pages read this one row.

    A member is the base ("base"), an open merge request ("12") or a running session with what it
    has not committed yet ("s-…"); its key is what `collisions` name.
    """

    repository_id: int = Field(primary_key=True, foreign_key="repository.id")
    base_branch: str = Field(primary_key=True)
    # [{key, sha, agent, title, merge_request_id, session_id, branch, files}], the base first
    members: list[dict[str, Any]] = json_field(list)
    # [{one, other, kind: "text"|"symbol", paths, symbols: [{name, path, other_path, says}]}]
    collisions: list[dict[str, Any]] = json_field(list)
    uncovered: dict[str, Any] = json_field(dict)  # file ending: files whose symbols aren't read
    took_ms: float = 0.0
    computed_at: datetime = time_field()
