"""An agent's conversation on one task in one worktree; at most one runner carries it at a time.

The journal is the truth of what was said. These rows are its index: a cursor, a sparse map from
sequence number to byte offset, and the state folded from the events before the cursor.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from app.models.base import json_field, optional_time_field, time_field

# new: not launched yet · starting · running: a runner is alive · stopped: no runner, can resume
# · crashed: its runner died, can resume · ended: over for good
SESSION_STATES = ("new", "starting", "running", "stopped", "crashed", "ended")
ACTIVITIES = ("decoding", "tool", "waiting_human", "waiting_quota", "waiting_slot", "idle", "error")


class Session(SQLModel, table=True):
    id: str = Field(primary_key=True)
    agent_id: int = Field(foreign_key="agent.id", index=True)
    task_id: int = Field(foreign_key="task.id", index=True)
    account_id: int = Field(foreign_key="account.id")
    driver: str
    model: str = ""
    worktree: str = ""
    branch: str = ""
    base_sha: str = ""  # what the branch started from
    state: str = Field(default="new", index=True)
    activity: str = "waiting_slot"
    is_sandboxed: bool = False
    conversation_id: str = ""  # the vendor's id, last seen: resume needs it
    launches: int = 0  # runners so far
    handover: str = ""  # what a new conversation is told of the one before it, task and all
    continues_id: str = ""  # the session whose work this one goes on with
    counted_seq: int = 0  # its activities up to here are in the agents' clocks; never set back
    wants_start: bool = False  # the supervisor launches a runner for it
    wants_stop: bool = False  # the supervisor stops its runner
    ends: bool = False  # with the next stop it is over for good
    # -- cursor: everything below was folded from the journal's first `offset` bytes
    offset: int = Field(default=0, sa_type=BigInteger)
    seq: int = 0
    event_count: int = 0
    # crc32 chained over the ingested lines: proves that each came once and in order
    digest: int = Field(default=0, sa_type=BigInteger)
    fold: dict[str, Any] = json_field(dict)  # open calls and such, for the next fold step
    last_line: str = ""  # the last line that matters, for the tile
    summary: str = ""  # the agent's last words of the last turn
    error: str = ""  # an ErrorKind, while activity is error
    error_message: str = ""
    output_tokens: int = Field(default=0, sa_type=BigInteger)
    input_tokens: int = Field(default=0, sa_type=BigInteger)
    cache_write_tokens: int = Field(default=0, sa_type=BigInteger)
    cache_read_tokens: int = Field(default=0, sa_type=BigInteger)
    cost_usd: float | None = None  # None: unknown, never 0
    turns: int = 0
    touched_seq: int = 0  # the last record after which the worktree may differ
    pending_outcome: str = ""  # of the last ended turn, until the supervisor has acted on it
    pending_resets_at: datetime | None = optional_time_field()
    activity_at: datetime = time_field()  # since when in this activity
    last_event_at: datetime | None = optional_time_field()
    created_at: datetime = time_field()
    started_at: datetime | None = optional_time_field()
    ended_at: datetime | None = optional_time_field()


class JournalIndex(SQLModel, table=True):
    """Every 64th record: its byte offset, so that any page of the log is one short read."""

    session_id: str = Field(primary_key=True, foreign_key="session.id")
    seq: int = Field(primary_key=True)
    offset: int = Field(sa_type=BigInteger)


class Message(SQLModel, table=True):
    """What the human said to a session: stored first, delivered once, by its id."""

    id: str = Field(primary_key=True)
    session_id: str = Field(foreign_key="session.id", index=True)
    text: str
    origin: str = "human"  # task | human | review | system
    state: str = Field(default="queued", index=True)  # queued | delivered | failed
    error: str = ""
    created_at: datetime = time_field()
    delivered_at: datetime | None = optional_time_field()


class Permission(SQLModel, table=True):
    """A permission the agent asked for; answered once by the human."""

    id: int | None = Field(default=None, primary_key=True)
    session_id: str = Field(foreign_key="session.id", index=True)
    request_id: str  # the vendor's
    tool: str
    name: str
    title: str
    input: dict[str, Any] = json_field(dict)
    reason: str = ""
    state: str = Field(
        default="open", index=True
    )  # open | answering | allow | allow_always | deny | void
    message: str = ""
    created_at: datetime = time_field()
    decided_at: datetime | None = optional_time_field()
