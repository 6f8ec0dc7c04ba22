"""What the human looked at, by content: the same change is never news a second time."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from app.models.base import time_field


class SeenFile(SQLModel, table=True):
    """One file's way from one content to another, as it was shown."""

    __table_args__ = (UniqueConstraint("repository_id", "path", "old_blob", "new_blob"),)

    id: int | None = Field(default=None, primary_key=True)
    repository_id: int = Field(foreign_key="repository.id", index=True)
    path: str = Field(index=True)
    old_blob: str  # object id with mode ("100644:ab…"), "" where there was no file
    new_blob: str
    merge_request_id: int = Field(foreign_key="mergerequest.id", index=True)  # where it was shown
    head_sha: str  # and at which commits: what later rounds are compared with
    merge_base_sha: str
    is_ticked: bool = False  # not only shown: the human said "I have read this"
    seen_at: datetime = time_field()
