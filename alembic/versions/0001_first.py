"""The first schema: repositories, accounts, agents, tasks, sessions, merge requests.

Revision ID: 0001
Revises:
Create Date: 2026-11-22

Written by hand in a few words per column; tests/test_migrations.py holds it to the models.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def text(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), **{"nullable": False, **options})


def number(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), **{"nullable": False, **options})


def big(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), **{"nullable": False, **options})


def real(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Float(), **{"nullable": False, **options})


def flag(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), **{"nullable": False, **options})


def json(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(), **{"nullable": False, **options})


def time(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **{"nullable": False, **options})


def points(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}")


def upgrade() -> None:
    op.create_table(
        "account",
        number("id", primary_key=True),
        text("name"),
        text("driver"),
        text("auth"),
        text("secret_env"),
        text("config_dir"),
        text("base_url"),
        flag("is_rehearsal"),
        time("limited_until", nullable=True),
        time("created_at"),
        sa.UniqueConstraint("name", name="uq_account_name"),
    )
    op.create_table(
        "decision",
        number("id", primary_key=True),
        text("actor"),
        text("verb"),
        text("subject"),
        text("sha"),
        json("detail"),
        time("created_at"),
    )
    op.create_table(
        "repository",
        number("id", primary_key=True),
        text("slug"),
        text("path"),
        text("base_branch"),
        time("created_at"),
        sa.UniqueConstraint("path", name="uq_repository_path"),
        sa.UniqueConstraint("slug", name="uq_repository_slug"),
    )
    op.create_table(
        "agent",
        number("id", primary_key=True),
        text("name"),
        text("driver"),
        text("model"),
        number("account_id"),
        text("permissions"),
        text("instructions"),
        flag("is_enabled"),
        time("created_at"),
        points("agent", "account_id", "account.id"),
        sa.UniqueConstraint("name", name="uq_agent_name"),
    )
    op.create_table(
        "task",
        number("id", primary_key=True),
        number("repository_id"),
        text("title"),
        text("prompt"),
        text("base_branch"),
        text("branch"),
        text("state"),
        text("state_reason"),
        real("position"),
        number("wanted_agent_id", nullable=True),
        number("agent_id", nullable=True),
        time("parked_until", nullable=True),
        time("created_at"),
        time("started_at", nullable=True),
        time("ended_at", nullable=True),
        points("task", "repository_id", "repository.id"),
        points("task", "wanted_agent_id", "agent.id"),
        points("task", "agent_id", "agent.id"),
    )
    op.create_index("ix_task_agent_id", "task", ["agent_id"])
    op.create_index("ix_task_repository_id", "task", ["repository_id"])
    op.create_index("ix_task_state", "task", ["state"])
    op.create_table(
        "session",
        text("id", primary_key=True),
        number("agent_id"),
        number("task_id"),
        number("account_id"),
        text("driver"),
        text("model"),
        text("worktree"),
        text("branch"),
        text("base_sha"),
        text("state"),
        text("activity"),
        flag("is_sandboxed"),
        text("conversation_id"),
        number("launches"),
        flag("wants_start"),
        flag("wants_stop"),
        flag("ends"),
        big("offset"),
        number("seq"),
        number("event_count"),
        big("digest"),
        json("fold"),
        text("last_line"),
        text("summary"),
        text("error"),
        text("error_message"),
        big("output_tokens"),
        big("input_tokens"),
        big("cache_write_tokens"),
        big("cache_read_tokens"),
        real("cost_usd", nullable=True),
        number("turns"),
        number("touched_seq"),
        text("pending_outcome"),
        time("pending_resets_at", nullable=True),
        time("activity_at"),
        time("last_event_at", nullable=True),
        time("created_at"),
        time("started_at", nullable=True),
        time("ended_at", nullable=True),
        points("session", "agent_id", "agent.id"),
        points("session", "task_id", "task.id"),
        points("session", "account_id", "account.id"),
    )
    op.create_index("ix_session_agent_id", "session", ["agent_id"])
    op.create_index("ix_session_state", "session", ["state"])
    op.create_index("ix_session_task_id", "session", ["task_id"])
    op.create_table(
        "journalindex",
        text("session_id"),
        number("seq"),
        big("offset"),
        sa.PrimaryKeyConstraint("session_id", "seq", name="pk_journalindex"),
        points("journalindex", "session_id", "session.id"),
    )
    op.create_table(
        "mergerequest",
        number("id", primary_key=True),
        number("repository_id"),
        number("task_id", nullable=True),
        number("agent_id", nullable=True),
        text("session_id", nullable=True),
        text("title"),
        text("summary"),
        text("branch"),
        text("base_branch"),
        text("head_sha"),
        text("base_sha"),
        text("merge_base_sha"),
        text("tree_sha"),
        json("conflicts"),
        json("overlaps"),
        number("round"),
        text("state"),
        text("state_reason"),
        text("approved_sha"),
        flag("is_forced"),
        number("additions"),
        number("deletions"),
        number("files"),
        number("reverts_id", nullable=True),
        text("snapshot_ref"),
        time("created_at"),
        time("updated_at"),
        time("decided_at", nullable=True),
        points("mergerequest", "repository_id", "repository.id"),
        points("mergerequest", "task_id", "task.id"),
        points("mergerequest", "agent_id", "agent.id"),
        points("mergerequest", "session_id", "session.id"),
        points("mergerequest", "reverts_id", "mergerequest.id"),
    )
    op.create_index("ix_mergerequest_repository_id", "mergerequest", ["repository_id"])
    op.create_index("ix_mergerequest_session_id", "mergerequest", ["session_id"])
    op.create_index("ix_mergerequest_state", "mergerequest", ["state"])
    op.create_index("ix_mergerequest_task_id", "mergerequest", ["task_id"])
    op.create_table(
        "message",
        text("id", primary_key=True),
        text("session_id"),
        text("text"),
        text("origin"),
        text("state"),
        text("error"),
        time("created_at"),
        time("delivered_at", nullable=True),
        points("message", "session_id", "session.id"),
    )
    op.create_index("ix_message_session_id", "message", ["session_id"])
    op.create_index("ix_message_state", "message", ["state"])
    op.create_table(
        "permission",
        number("id", primary_key=True),
        text("session_id"),
        text("request_id"),
        text("tool"),
        text("name"),
        text("title"),
        json("input"),
        text("reason"),
        text("state"),
        text("message"),
        time("created_at"),
        time("decided_at", nullable=True),
        points("permission", "session_id", "session.id"),
    )
    op.create_index("ix_permission_session_id", "permission", ["session_id"])
    op.create_index("ix_permission_state", "permission", ["state"])
    op.create_table(
        "usageminute",
        text("session_id"),
        text("model"),
        number("minute"),
        number("output_tokens"),
        number("input_tokens"),
        number("cache_write_tokens"),
        number("cache_read_tokens"),
        sa.PrimaryKeyConstraint("session_id", "model", "minute", name="pk_usageminute"),
        points("usageminute", "session_id", "session.id"),
    )
    op.create_index("ix_usageminute_minute", "usageminute", ["minute"])
    op.create_table(
        "check",
        number("id", primary_key=True),
        number("merge_request_id"),
        text("head_sha"),
        text("base_sha"),
        text("tree_sha"),
        text("command"),
        text("state"),
        number("exit_code", nullable=True),
        text("output_tail"),
        flag("is_sandboxed"),
        time("created_at"),
        time("started_at", nullable=True),
        time("ended_at", nullable=True),
        points("check", "merge_request_id", "mergerequest.id"),
    )
    op.create_index("ix_check_merge_request_id", "check", ["merge_request_id"])
    op.create_index("ix_check_state", "check", ["state"])
    op.create_index("ix_check_tree_sha", "check", ["tree_sha"])
    op.create_table(
        "comment",
        number("id", primary_key=True),
        number("merge_request_id"),
        text("head_sha"),
        text("path"),
        number("line", nullable=True),
        text("side"),
        text("body"),
        flag("is_sent"),
        time("created_at"),
        points("comment", "merge_request_id", "mergerequest.id"),
    )
    op.create_index("ix_comment_merge_request_id", "comment", ["merge_request_id"])
    op.create_table(
        "landing",
        number("id", primary_key=True),
        number("merge_request_id"),
        text("base_branch"),
        text("old_sha"),
        text("new_sha"),
        text("state"),
        text("note"),
        time("created_at"),
        time("done_at", nullable=True),
        points("landing", "merge_request_id", "mergerequest.id"),
    )
    op.create_index("ix_landing_merge_request_id", "landing", ["merge_request_id"])
    op.create_index("ix_landing_state", "landing", ["state"])


def downgrade() -> None:
    op.drop_table("landing")
    op.drop_table("comment")
    op.drop_table("check")
    op.drop_table("usageminute")
    op.drop_table("permission")
    op.drop_table("message")
    op.drop_table("mergerequest")
    op.drop_table("journalindex")
    op.drop_table("session")
    op.drop_table("task")
    op.drop_table("agent")
    op.drop_table("repository")
    op.drop_table("decision")
    op.drop_table("account")
