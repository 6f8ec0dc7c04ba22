"""What the JSON API shows of merge requests and diffs, and the verdicts it takes."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.api.schemas import Given, View


class CheckView(View):
    """The repository's check command, run on the combined tree."""

    state: str
    command: str
    exit_code: int | None
    output_tail: str
    is_sandboxed: bool
    head_sha: str
    base_sha: str
    created_at: datetime
    ended_at: datetime | None


class CommentView(View):
    id: int
    head_sha: str
    path: str
    line: int | None
    side: str
    body: str
    is_sent: bool
    created_at: datetime


class LandingView(View):
    state: str
    old_sha: str
    new_sha: str
    note: str
    done_at: datetime | None


class ReviewRowView(View):
    """A merge request in the list."""

    id: int
    title: str
    agent: str | None
    task_id: int | None
    session_id: str | None
    branch: str
    base_branch: str
    head_sha: str = Field(description="A verdict names this commit; new commits void it.")
    round: int
    state: str
    state_reason: str
    conflicts: list[dict[str, Any]]
    overlaps: list[dict[str, Any]]
    additions: int
    deletions: int
    files: int
    check: str = Field(description="State of the newest check, empty where there is none.")
    reverts_id: int | None
    created_at: datetime
    updated_at: datetime
    decided_at: datetime | None


class ReviewView(ReviewRowView):
    """A merge request in full, but for its diff."""

    summary: str = Field(description="The agent's own words.")
    latest_check: CheckView | None
    comments: list[CommentView]
    landing: LandingView | None


class LineView(View):
    kind: str
    old_no: int | None
    new_no: int | None
    text: str


class HunkView(View):
    header: str
    old_start: int
    new_start: int
    lines: list[LineView]


class FileDiffView(View):
    path: str
    old_path: str = Field(description="The same, but for renames and copies.")
    status: str
    additions: int
    deletions: int
    old_mode: str
    new_mode: str
    is_binary: bool
    is_generated: bool
    is_cut: bool = Field(description="Lines are missing from the hunks.")
    hunks: list[HunkView]


class CommitView(View):
    sha: str
    author: str
    at: datetime
    subject: str
    body: str


class DiffView(View):
    """Computed when the branch moved, and stored; 404 until then."""

    base_sha: str
    head_sha: str
    computed_at: datetime
    commits: list[CommitView]
    files: list[FileDiffView]
    is_cut: bool


class Verdict(Given):
    head_sha: str = Field(description="The commit that was looked at, in full.")


class Approval(Verdict):
    force: bool = Field(False, description="Land it although its check did not pass.")


class Rejection(Verdict):
    reason: str = ""


class ChangesWanted(Verdict):
    body: str = Field("", description="Said besides the comments that are not sent yet.")


class CommentGiven(Verdict):
    body: str
    path: str = Field("", description="Empty: on the whole.")
    line: int | None = None
    side: Literal["new", "old"] = "new"
