"""What the JSON API shows of merge requests and diffs, and the verdicts it takes."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.api.schemas import Given, View


class RunView(View):
    """One run of the command on a tree."""

    id: int
    run: int = Field(description="2 is the first rerun.")
    state: str
    exit_code: int | None
    started_at: datetime | None
    ended_at: datetime | None


class CheckView(RunView):
    """The repository's check command, run on the combined tree for one who asked."""

    command: str
    output_tail: str
    is_sandboxed: bool
    head_sha: str
    base_sha: str
    tree_sha: str
    same_as_id: int | None = Field(description="The check that ran the same tree for both.")
    created_at: datetime


class CommentView(View):
    id: int
    head_sha: str
    path: str
    line: int | None
    line_now: int | None = Field(None, description="At the present head; null: the line is gone.")
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


class RoundView(View):
    """One state of its branch."""

    number: int
    head_sha: str
    merge_base_sha: str
    is_rewritten: bool = Field(description="It does not hold the commits of the round before.")
    why: str = Field(description="What asked for it.")
    created_at: datetime


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
    after: list[int] = Field(description="Merge requests that land before it.")
    waits_for_check: bool = Field(description="Approved for when its checks pass.")
    rank: float | None = Field(description="Open ones: more is decided first.")
    rank_reasons: list[dict[str, Any]] = Field(description="They add up: name, points, says.")
    care: str = Field(description="How closely to look: glance, read, study; empty: unassessed.")
    care_reasons: list[dict[str, Any]]
    risks: list[dict[str, Any]] = Field(description="Heaviest first: kind, points, says, paths.")
    sizes: dict[str, Any] = Field(description="By kind of file: files, additions, deletions.")
    intent: str
    languages: dict[str, Any]
    areas: list[str]
    cost_usd: float | None = Field(description="At list price; null: unknown.")
    output_tokens: int
    waiters: list[str] = Field(description="What comes after it, in words.")
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
    rounds: list[RoundView]
    pull_url: str
    snapshot_ref: str = Field(description="Where a rejected branch is kept, in our repository.")


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
    since_sha: str = Field(description="Of an interdiff: the head that was looked at last.")
    unmerged: list[str] = Field(description="Of an interdiff: the base's changes are in these too.")


class FileSeen(View):
    path: str
    state: str = Field(description="new, changed since it was shown, shown, ticked.")


class SeenView(View):
    """What was looked at, and what its care level still asks for."""

    care: str
    files: list[FileSeen]
    missing: list[str] = Field(description="Still to be shown (read) or ticked (study).")


class Verdict(Given):
    head_sha: str = Field(description="The commit that was looked at, in full.")


class Approval(Verdict):
    force: bool = Field(False, description="Land it although its check did not pass.")
    after: list[int] = Field([], description="Merge requests that have to land before it.")
    when_checks_pass: bool = Field(False, description="Wait for its check, though it failed now.")
    bulk: bool = Field(False, description="Decided together with others; never of care study.")


class Rejection(Verdict):
    reason: str = ""


class ChangesWanted(Verdict):
    body: str = Field("", description="Said besides the comments that are not sent yet.")


class SeenGiven(Verdict):
    paths: list[str] | None = Field(None, description="Of the diff; left out: all of them.")
    ticked: bool = Field(False, description="Not only shown: you have read them.")


class Unticked(Verdict):
    paths: list[str]


class CommentGiven(Verdict):
    body: str
    path: str = Field("", description="Empty: on the whole.")
    line: int | None = None
    side: Literal["new", "old"] = "new"
