"""A git repository that we serve: the human's own, and our two clones of it."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.models.base import time_field


class Repository(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    slug: str = Field(unique=True)  # names directories under HOME/repositories and worktrees
    path: str = Field(unique=True)  # top level of the human's repository
    base_branch: str  # short name, such as "main"
    created_at: datetime = time_field()
