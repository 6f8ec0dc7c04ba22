"""The decision ledger: who or what decided, when, on which tree, with which evidence."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from app.models.base import json_field, time_field


class Decision(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    actor: str  # human | system
    verb: str  # approve reject request_changes undo land throw_out pick allow deny start stop ...
    subject: str = Field(index=True)  # "merge request 12", "session s-..."
    sha: str = ""  # the commit that was decided on
    tree_sha: str = ""  # the combined tree that it would have become then
    evidence: dict[str, Any] = json_field(dict)  # what was known: check, care, seen, conflicts
    detail: dict[str, Any] = json_field(dict)  # what was given: a reason, conditions
    created_at: datetime = time_field()
