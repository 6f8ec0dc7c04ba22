"""What the balancer decided or advises, and the switches of the house."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from app.models.base import json_field, optional_time_field, time_field

MODES = ("off", "advise", "auto_new", "auto_all")

# advised: waits for a click · applied · undone · dismissed · expired: the moment is over
DECISION_STATES = ("advised", "applied", "undone", "dismissed", "expired")


class BalancerDecision(SQLModel, table=True):
    """One decision with the numbers that made it."""

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = time_field(index=True)
    mode: str  # one of MODES; "human" for what was done by hand
    action: str  # start | move | park | hold | stay
    state: str = Field(default="applied", index=True)
    task_id: int | None = Field(default=None, foreign_key="task.id", index=True)
    agent_id: int | None = Field(default=None, foreign_key="agent.id")
    session_id: str = ""
    from_account_id: int | None = Field(default=None, foreign_key="account.id")
    to_account_id: int | None = Field(default=None, foreign_key="account.id")
    reason: str  # a sentence
    until_at: datetime | None = optional_time_field()  # when it is looked at again
    costs_usd: float | None = None  # of the move, at list price
    saves_hours: float | None = None  # of standing still
    weighed: list[dict[str, Any]] = json_field(list)  # `balance.Weighed` of every account
    settled_at: datetime | None = optional_time_field()  # applied, undone, dismissed or expired


class Preference(SQLModel, table=True):
    """A switch that the human sets from the page; what is not set has its default."""

    key: str = Field(primary_key=True)
    value: Any = json_field(dict)
