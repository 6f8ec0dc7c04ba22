"""Several merge requests combined on one base, in order; and what is sent to a remote."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from app.models.base import json_field, optional_time_field, time_field

# a union: building · ready · stale (a member or the base moved) · failed (it can't be built)
# a train: building · checking · landing · landed · failed (its check) · void (something moved)
BATCH_STATES = ("building", "ready", "stale", "checking", "landing", "landed", "failed", "void")


class Batch(SQLModel, table=True):
    """Merge requests on top of each other: looked at together, or on their way to the base."""

    id: int | None = Field(default=None, primary_key=True)
    repository_id: int = Field(foreign_key="repository.id", index=True)
    base_branch: str
    base_sha: str = ""
    kind: str = Field(index=True)  # union: for the human's eye · train: of the merge queue
    members: list[dict[str, Any]] = json_field(list)  # [{merge_request_id, head_sha}], in order
    # what went in: [{merge_request_id, head_sha, commit_sha, tree_sha}]; each step is a commit on
    # the one before it, so that any prefix of the steps is a tree that can be checked and landed
    steps: list[dict[str, Any]] = json_field(list)
    left: list[dict[str, Any]] = json_field(list)  # [{merge_request_id, paths}]: conflicts
    head_sha: str = ""  # the last step's commit
    tree_sha: str = ""
    state: str = Field(default="building", index=True)
    state_reason: str = ""
    # bisection of a train that failed: the first `good` steps passed, the first `bad` did not
    good: int = 0
    bad: int | None = None
    culprit_id: int | None = None  # the merge request that was thrown out
    created_at: datetime = time_field()
    ended_at: datetime | None = optional_time_field()


class Push(SQLModel, table=True):
    """One ref that goes to a remote: a base that moved, or a branch for a pull request."""

    id: int | None = Field(default=None, primary_key=True)
    repository_id: int = Field(foreign_key="repository.id", index=True)
    merge_request_id: int | None = Field(default=None, foreign_key="mergerequest.id", index=True)
    remote: str
    ref: str  # full name at the remote
    sha: str
    opens_pull: bool = False
    state: str = Field(default="queued", index=True)  # queued running done failed
    note: str = ""
    created_at: datetime = time_field()
    done_at: datetime | None = optional_time_field()
