"""What was used: tokens by minute, of our sessions and of logs that other programs left."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, LargeBinary
from sqlmodel import Field, SQLModel

from app.models.base import json_field, time_field


class UsageMinute(SQLModel, table=True):
    """Tokens of one session, model and account in one minute. The counters do not overlap."""

    session_id: str = Field(primary_key=True, foreign_key="session.id")
    account_id: int = Field(primary_key=True, foreign_key="account.id", index=True)
    model: str = Field(primary_key=True)
    minute: int = Field(primary_key=True, index=True)  # unix time // 60
    output_tokens: int = Field(default=0, sa_type=BigInteger)
    input_tokens: int = Field(default=0, sa_type=BigInteger)
    cache_write_tokens: int = Field(default=0, sa_type=BigInteger)
    cache_read_tokens: int = Field(default=0, sa_type=BigInteger)


class SessionAccount(SQLModel, table=True):
    """Which account paid for a session from a sequence number on: a session can move."""

    session_id: str = Field(primary_key=True, foreign_key="session.id")
    first_seq: int = Field(primary_key=True)
    account_id: int = Field(foreign_key="account.id")
    started_at: datetime = time_field()


class Conversation(SQLModel, table=True):
    """A vendor's conversation that was ours: its log counts as the session, not once more."""

    id: str = Field(primary_key=True)  # the vendor's
    session_id: str = Field(foreign_key="session.id")


class OutsideMinute(SQLModel, table=True):
    """Tokens that an account spent outside of our sessions, as its logs have them."""

    account_id: int = Field(primary_key=True, foreign_key="account.id")
    model: str = Field(primary_key=True)
    minute: int = Field(primary_key=True, index=True)
    output_tokens: int = Field(default=0, sa_type=BigInteger)
    input_tokens: int = Field(default=0, sa_type=BigInteger)
    cache_write_tokens: int = Field(default=0, sa_type=BigInteger)
    cache_read_tokens: int = Field(default=0, sa_type=BigInteger)


class LogFile(SQLModel, table=True):
    """How far a vendor's log was read (`agents.meters.base.Cursor`, encoded)."""

    account_id: int = Field(primary_key=True, foreign_key="account.id")
    path: str = Field(primary_key=True)
    cursor: bytes = Field(sa_type=LargeBinary)


class LoggedCall(SQLModel, table=True):
    """The record that counts for one model call (`agents.meters.base.UsageRecord`, encoded)."""

    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="account.id", index=True)
    record: bytes = Field(sa_type=LargeBinary)
    is_ours: bool = False  # a session of ours: known, not counted


class LoggedName(SQLModel, table=True):
    """A name by which a logged call is known again."""

    account_id: int = Field(primary_key=True, foreign_key="account.id")
    name: str = Field(primary_key=True)
    call_id: int = Field(foreign_key="loggedcall.id", index=True)


class AgentClock(SQLModel, table=True):
    """The state an agent is in, and since when: the end of its time line."""

    agent_id: int = Field(primary_key=True, foreign_key="agent.id")
    state: str  # one of ACTIVITIES
    since_ms: int = Field(sa_type=BigInteger)  # unix milliseconds
    born_ms: int = Field(sa_type=BigInteger)  # where the time line begins


class AgentMinute(SQLModel, table=True):
    """Milliseconds of one minute that an agent was in one state; a past minute's sum is 60,000."""

    agent_id: int = Field(primary_key=True, foreign_key="agent.id")
    minute: int = Field(primary_key=True, index=True)
    state: str = Field(primary_key=True)
    milliseconds: int = 0


class LadderMinute(SQLModel, table=True):
    """Dollars an hour, at list price, on each rung from what is paid for to what was useful."""

    minute: int = Field(primary_key=True)
    capacity: float
    provisioned: float
    demanded: float
    unblocked: float
    placed: float
    useful: float
    detail: dict[str, Any] = json_field(dict)  # whose loss each step was, for the words beside it
