"""What the JSON API shows of the rows, and what it takes: explicit, so that a column stays ours."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class View(BaseModel):
    """Read from a row or a struct by attribute."""

    model_config = ConfigDict(from_attributes=True)


class Given(BaseModel):
    """A request's body; an unknown field is a mistake, and is said to be one."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    code: str = Field(description="A slug for programs, such as `not_found` or `conflict`.")
    message: str = Field(description="One sentence for the human, with the way out.")
    retryable: bool = Field(description="Whether the same request may work later.")


class ProblemReply(BaseModel):
    """Every refusal has this shape."""

    error: Problem


class Health(View):
    status: Literal["ok"]
    version: str
    revision: str = Field(description="Of the database's schema.")
    is_rehearsal: bool
    is_sandboxed: bool = Field(description="Whether new sessions run under bubblewrap.")


class RepositoryView(View):
    slug: str
    path: str
    base_branch: str
    created_at: datetime


class RepositoryGiven(Given):
    path: str = Field(description="A directory inside the repository, on the server's machine.")
    base_branch: str | None = None


class AgentView(View):
    name: str
    driver: str
    model: str
    account: str
    permissions: str
    instructions: str
    is_enabled: bool
    is_movable: bool = Field(description="The balancer may send it to another account.")
    quota_unit: str = Field(description="Empty: none; `tokens`, `usd` or `percent`.")
    quota_per_day: float | None
    created_at: datetime
    state: str = Field(description="An activity, or `off`: what the agent's tile shows.")
    session_id: str | None = Field(description="Its newest session.")
    task_id: int | None = Field(description="The task of that session.")


class AgentGiven(Given):
    name: str
    driver: str
    account: str | None = None
    model: str = ""
    permissions: str = "ask"
    instructions: str = ""


class AgentChange(Given):
    is_enabled: bool | None = None
    model: str | None = None
    permissions: str | None = None
    instructions: str | None = None
    account: str | None = None
    is_movable: bool | None = None
    quota_unit: str | None = None
    quota_per_day: float | None = None


class TaskView(View):
    id: int
    repository: str
    title: str
    prompt: str
    base_branch: str
    branch: str
    state: str
    state_reason: str
    agent: str | None
    wanted_agent: str | None
    parked_until: datetime | None
    priority: int
    deadline_at: datetime | None
    is_deferrable: bool
    after: list[int]
    models: list[str]
    may_overflow: bool
    account: str | None = Field(description="The only account that may pay for it.")
    label: str = Field(description="The kind of work, in the human's word.")
    care: str = Field(description="Its review asks for at least this; empty: as its paths say.")
    contest_id: int | None = Field(description="The contest that it competes in.")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class TaskTerms(Given):
    priority: int = Field(0, description="-9 to 9, higher first.")
    deadline_at: datetime | None = None
    is_deferrable: bool = Field(False, description="Only for quota that would expire unused.")
    after: list[int] = Field([], description="Tasks that must be done before.")
    models: list[str] = Field([], description="That may do it; left out: any.")
    may_overflow: bool = Field(False, description="May be paid by use, on a key.")
    account: str | None = Field(None, description="Only this account may pay for it.")
    label: str = Field("", description="The kind of work; the record is kept by it.")
    care: Literal["", "glance", "read", "study"] = Field(
        "", description="At least this for its review."
    )


class TaskGiven(TaskTerms):
    title: str = ""
    prompt: str = ""
    repository: str | None = Field(None, description="A slug; left out where there is only one.")
    base_branch: str | None = None
    agent: str | None = Field(None, description="Only this agent may take it.")
    draft: bool = Field(False, description="Keep it back until it is started.")


class TaskMove(Given):
    before_id: int | None = Field(None, description="Left out: to the end of the backlog.")


class SessionView(View):
    id: str
    agent: str
    task_id: int
    driver: str
    model: str
    worktree: str
    branch: str
    base_sha: str
    state: str
    activity: str
    is_sandboxed: bool
    launches: int
    seq: int = Field(description="Number of the last ingested record.")
    last_line: str
    summary: str
    error: str
    error_message: str
    output_tokens: int
    input_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    cost_usd: float | None = Field(description="Null: not known.")
    turns: int
    activity_at: datetime
    last_event_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class EventView(BaseModel):
    """One event of the journal; the fields beside `kind` depend on it."""

    model_config = ConfigDict(extra="allow")
    kind: str


class RecordView(BaseModel):
    seq: int
    at: datetime
    event: EventView
    raw: int | None = Field(None, description="Byte offset of the vendor's line.")


class LogPage(BaseModel):
    """Records in order. Ask again with `after` the last one's `seq` to follow the log."""

    records: list[RecordView]


class MessageGiven(Given):
    text: str
    message_id: str | None = Field(None, description="Chosen by the sender: a repeat is no second.")


class MessageView(View):
    id: str
    session_id: str
    text: str
    origin: str
    state: str
    error: str
    created_at: datetime
    delivered_at: datetime | None


class PermissionView(View):
    id: int
    session_id: str
    tool: str
    name: str
    title: str
    input: dict[str, Any]
    reason: str
    state: str
    message: str
    created_at: datetime
    decided_at: datetime | None


class Answer(Given):
    decision: Literal["allow", "allow_always", "deny"]
    message: str = ""
