"""Best of N: one task done by several, of which one is picked; and how each work ended."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.models.base import optional_time_field, time_field


class Contest(SQLModel, table=True):
    """The tasks that carry its id are the same work, given to several agents."""

    id: int | None = Field(default=None, primary_key=True)
    repository_id: int = Field(foreign_key="repository.id", index=True)
    title: str
    prompt: str
    state: str = Field(default="open", index=True)  # open | decided | cancelled
    winner_id: int | None = None  # a merge request; no foreign key, since that points here
    reason: str = ""
    created_at: datetime = time_field()
    decided_at: datetime | None = optional_time_field()


# at_once: approved in its first round · after_changes · rejected · not_picked: lost a contest
OUTCOMES = ("at_once", "after_changes", "rejected", "not_picked")


class Outcome(SQLModel, table=True):
    """How one merge request ended: a line of the record of its model."""

    merge_request_id: int = Field(primary_key=True, foreign_key="mergerequest.id")
    repository_id: int = Field(foreign_key="repository.id", index=True)
    agent_id: int | None = Field(default=None, foreign_key="agent.id")
    driver: str
    model: str = Field(index=True)
    label: str = ""  # the task's
    language: str = ""  # most changed
    area: str = ""  # most changed top-level directory
    outcome: str
    is_reverted: bool = False
    rounds: int = 1
    cost_usd: float | None = None  # at list price, None: unknown
    output_tokens: int = 0
    additions: int = 0
    deletions: int = 0
    decided_at: datetime = time_field()
