"""A persistent, named worker: driver, model, account, permissions, persona."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.models.base import time_field


class Agent(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)  # a slug: names the branch, the worktree and the private home
    driver: str
    model: str = ""  # "" = the driver's default
    account_id: int = Field(foreign_key="account.id")
    permissions: str = "ask"  # ask | auto
    instructions: str = ""  # persona, appended to the vendor's system prompt
    is_enabled: bool = True  # the dispatcher gives work to enabled agents only
    is_movable: bool = True  # the balancer may send it to another account
    quota_unit: str = (
        ""  # "" = no limit | tokens (output) | usd | percent (of its account's budget)
    )
    quota_per_day: float | None = None  # in quota_unit, from 00:00 UTC on
    created_at: datetime = time_field()
