"""A branch offered for the base, what was checked of it, what was said of it, how it landed."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from app.models.base import json_field, optional_time_field, time_field

# open: waits for the human · approved: waits for its check and landing · landing · merged
# · conflicted: sent back to its agent · changes_requested · rejected · withdrawn
# · archived: another of its contest was picked
MERGE_REQUEST_STATES = (
    "open",
    "approved",
    "landing",
    "merged",
    "conflicted",
    "changes_requested",
    "rejected",
    "withdrawn",
    "archived",
)


# none: the repository has no check command · stale: nobody needs its answer any more
CHECK_STATES = ("queued", "running", "passed", "failed", "timeout", "error", "none", "stale")
FAILING_STATES = ("failed", "timeout", "error")


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
    round: int = 1
    state: str = Field(default="open", index=True)
    state_reason: str = ""
    approved_sha: str = ""  # the approval is for this commit and no other
    is_forced: bool = False  # the human lands it although its check does not pass
    after: list[int] = json_field(list)  # merge requests that must have landed before it
    waits_for_check: bool = False  # approved though its check has not passed: lands once it does
    additions: int = 0
    deletions: int = 0
    files: int = 0
    # -- assessed at each preflight, by rules, for the reviewer --
    intent: str = ""  # one sentence, of the task and the agent's summary
    care: str = ""  # glance | read | study; "" until assessed
    care_reasons: list[dict[str, Any]] = json_field(list)  # [{level, rule, paths}], strictest first
    # {code|tests|docs|generated|locks: {files, additions, deletions}}
    sizes: dict[str, Any] = json_field(dict)
    risks: list[dict[str, Any]] = json_field(list)  # [{kind, points, says, paths}], heaviest first
    languages: dict[str, Any] = json_field(dict)  # name: changed lines
    areas: list[str] = json_field(list)  # top-level directories, most changed first
    pull_url: str = ""  # its pull request at the remote, where one was opened
    reverts_id: int | None = Field(default=None, foreign_key="mergerequest.id")
    snapshot_ref: str = ""  # where a rejected branch is kept
    created_at: datetime = time_field()
    updated_at: datetime = time_field()
    decided_at: datetime | None = optional_time_field()


class Round(SQLModel, table=True):
    """One state of a merge request's branch; a new head is a new round."""

    merge_request_id: int = Field(primary_key=True, foreign_key="mergerequest.id")
    number: int = Field(primary_key=True)
    head_sha: str
    merge_base_sha: str = ""
    is_rewritten: bool = False  # its head does not hold the head of the round before
    why: str = ""  # what asked for it: the remarks, a conflict, "" where nobody did
    created_at: datetime = time_field()


class Check(SQLModel, table=True):
    """The repository's check command, run on one combined tree."""

    id: int | None = Field(default=None, primary_key=True)
    repository_id: int = Field(foreign_key="repository.id", index=True)
    merge_request_id: int | None = Field(default=None, foreign_key="mergerequest.id", index=True)
    batch_id: int | None = Field(default=None, foreign_key="batch.id", index=True)
    head_sha: str = Field(index=True)  # of the request, or the batch's own commit
    base_sha: str
    tree_sha: str = Field(index=True)
    command: str
    state: str = Field(default="queued", index=True)  # see CHECK_STATES
    exit_code: int | None = None
    output_tail: str = ""  # last 64 KB; the whole lies in HOME/checks/<id>.log
    is_sandboxed: bool = False
    run: int = 1  # of this tree by this command: 2 is the first rerun
    same_as_id: int | None = Field(default=None, foreign_key="check.id")  # its result was taken
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
    batch_id: int | None = Field(default=None, foreign_key="batch.id", index=True)
    base_branch: str
    old_sha: str
    new_sha: str
    state: str = Field(default="intended", index=True)  # intended | done | void
    note: str = ""  # what the human is told: "your checkout has changes, it was not moved"
    created_at: datetime = time_field()
    done_at: datetime | None = optional_time_field()
