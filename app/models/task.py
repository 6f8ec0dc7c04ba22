"""A macro-action: a whole piece of work in one instruction."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.models.base import json_field, optional_time_field, time_field

# draft: kept back by the human · queued: waits for an agent · running · parked: waits for a quota
# · review: has an open merge request · done · failed: needs a human · cancelled
TASK_STATES = ("draft", "queued", "running", "parked", "review", "done", "failed", "cancelled")


class Task(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    repository_id: int = Field(foreign_key="repository.id", index=True)
    title: str
    prompt: str
    base_branch: str  # short name; must exist in the repository
    branch: str = ""  # qd/<agent>/<slug>, once an agent has it
    state: str = Field(default="queued", index=True)
    state_reason: str = ""  # one sentence for the human: why parked, failed, cancelled
    position: float = 0.0  # order of the backlog, smallest first
    priority: int = 0  # higher first; within one priority by position
    deadline_at: datetime | None = optional_time_field()
    is_deferrable: bool = False  # filler: only for quota that would expire unused
    after: list[int] = json_field(list)  # tasks that must be done before
    models: list[str] = json_field(list)  # that may do it; [] = any
    may_overflow: bool = False  # may be paid by use, on a key
    label: str = ""  # a kind of work, in the human's own word: what the record is kept by
    care: str = ""  # glance | read | study: at least this much; "" = as its paths say
    contest_id: int | None = Field(default=None, foreign_key="contest.id", index=True)
    wanted_account_id: int | None = Field(default=None, foreign_key="account.id")
    wanted_agent_id: int | None = Field(default=None, foreign_key="agent.id")
    agent_id: int | None = Field(default=None, foreign_key="agent.id", index=True)
    parked_until: datetime | None = optional_time_field()
    created_at: datetime = time_field()
    started_at: datetime | None = optional_time_field()
    ended_at: datetime | None = optional_time_field()
