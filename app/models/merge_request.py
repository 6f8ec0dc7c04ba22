"""A branch offered for the base, what was checked of it, what was said of it, how it landed."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from app.models.base import json_field, optional_time_field, time_field

# open: waits for the human · approved: waits for its check and landing · landing · merged
# · conflicted: sent back to its agent · changes_requested · rejected · withdrawn
MERGE_REQUEST_STATES = (
    "open",
    "approved",
    "landing",
    "merged",
    "conflicted",
    "changes_requested",
    "rejected",
    "withdrawn",
)


class MergeRequest(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    repository_id: int = Field(foreign_key="repository.id", index=True)
    task_id: int | None = Field(default=None, foreign_key="task.id", index=True)
    agent_id: int | None = Field(default=None, foreign_key="agent.id")
    session_id: str | None = Field(default=None, foreign_key="session.id", index=True)
    title: str
    summary: str = ""  # the agent's own words
    branch: str
    base_branch: str
    head_sha: str
    base_sha: str  # the base when last preflighted
    merge_base_sha: str = ""
    tree_sha: str = ""  # the combined tree, "" where it conflicts
    conflicts: list[dict[str, Any]] = json_field(list)  # [{path, kind}] with the base
    overlaps: list[dict[str, Any]] = json_field(list)  # [{merge_request_id, paths}] with open ones
    round: int = 1
    state: str = Field(default="open", index=True)
    state_reason: str = ""
    approved_sha: str = ""  # the approval is for this commit and no other
    is_forced: bool = False  # the human lands it although its check does not pass
    additions: int = 0
    deletions: int = 0
    files: int = 0
    reverts_id: int | None = Field(default=None, foreign_key="mergerequest.id")
    snapshot_ref: str = ""  # where a rejected branch is kept
    created_at: datetime = time_field()
    updated_at: datetime = time_field()
    decided_at: datetime | None = optional_time_field()


class Check(SQLModel, table=True):
    """The repository's check command, run on one combined tree."""

    id: int | None = Field(default=None, primary_key=True)
    merge_request_id: int = Field(foreign_key="mergerequest.id", index=True)
    head_sha: str
    base_sha: str
    tree_sha: str = Field(index=True)
    command: str
    state: str = Field(
        default="queued", index=True
    )  # queued running passed failed timeout error none
    exit_code: int | None = None
    output_tail: str = ""  # last 64 KB; the whole lies in HOME/checks/<id>.log
    is_sandboxed: bool = False
    created_at: datetime = time_field()
    started_at: datetime | None = optional_time_field()
    ended_at: datetime | None = optional_time_field()


class Comment(SQLModel, table=True):
    """A remark on a line or on the whole; goes to the author's session with the verdict."""

    id: int | None = Field(default=None, primary_key=True)
    merge_request_id: int = Field(foreign_key="mergerequest.id", index=True)
    head_sha: str
    path: str = ""  # "" = on the whole
    line: int | None = None  # number in the new file, or in the old one where side is "old"
    side: str = "new"
    body: str
    is_sent: bool = False
    created_at: datetime = time_field()


class Landing(SQLModel, table=True):
    """Intent before deed: which commit the base moves to. Recovered by ancestry after a crash."""

    id: int | None = Field(default=None, primary_key=True)
    merge_request_id: int = Field(foreign_key="mergerequest.id", index=True)
    base_branch: str
    old_sha: str
    new_sha: str
    state: str = Field(default="intended", index=True)  # intended | done | void
    note: str = ""  # what the human is told: "your checkout has changes, it was not moved"
    created_at: datetime = time_field()
    done_at: datetime | None = optional_time_field()


class Decision(SQLModel, table=True):
    """The ledger: who decided what, on which commit, when."""

    id: int | None = Field(default=None, primary_key=True)
    actor: str  # human | system
    verb: str  # approve reject request_changes undo allow deny start stop ...
    subject: str  # "merge request 12", "session s-..."
    sha: str = ""
    detail: dict[str, Any] = json_field(dict)
    created_at: datetime = time_field()
