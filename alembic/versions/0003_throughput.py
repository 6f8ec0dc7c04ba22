"""Throughput: accounts' rules, usage by account, outside usage, agents' clocks, the balancer.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-23

Every new column has a default. Usage minutes get the account that their session has now.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT, NUMBER, REAL, FLAG = sa.String(), sa.Integer(), sa.Float(), sa.Boolean()
TIME, BIG, JSON = sa.DateTime(timezone=True), sa.BigInteger(), sa.JSON()
COUNTERS = ("output_tokens", "input_tokens", "cache_write_tokens", "cache_read_tokens")

ADDED: dict[str, tuple[tuple[str, Any, str | None], ...]] = {  # table: (column, type, default)
    "account": (
        ("plan", TEXT, ""),
        ("price_usd_month", REAL, None),
        ("week_usd", REAL, None),
        ("reserve_percent", REAL, "0"),
        ("is_automatic", FLAG, sa.true()),
        ("models", JSON, "[]"),
        ("daily_cap_usd", REAL, None),
        ("max_running", NUMBER, None),
        ("rank", NUMBER, "0"),
        ("identity", TEXT, ""),
        ("login", TEXT, "unknown"),
        ("login_problem", TEXT, ""),
        ("credits", TEXT, ""),
        ("probed_at", TIME, None),
    ),
    "agent": (
        ("is_movable", FLAG, sa.true()),
        ("quota_unit", TEXT, ""),
        ("quota_per_day", REAL, None),
    ),
    "quotareading": (("capacity_usd", REAL, None),),
    "task": (
        ("priority", NUMBER, "0"),
        ("deadline_at", TIME, None),
        ("is_deferrable", FLAG, sa.false()),
        ("after", JSON, "[]"),
        ("models", JSON, "[]"),
        ("may_overflow", FLAG, sa.false()),
        ("wanted_account_id", NUMBER, None),
    ),
    "session": (
        ("handover", TEXT, ""),
        ("continues_id", TEXT, ""),
        ("counted_seq", NUMBER, "0"),
    ),
}


def needed(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def wanted(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def refers(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}")


def counters() -> list[sa.Column[Any]]:
    return [needed(name, BIG) for name in COUNTERS]


def upgrade() -> None:
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name, kind, default in columns:
                is_needed = default is not None
                batch.add_column(
                    sa.Column(name, kind, nullable=not is_needed, server_default=default)
                )
            if table == "task":
                batch.create_foreign_key(
                    "fk_task_wanted_account_id", "account", ["wanted_account_id"], ["id"]
                )
    _account_of_usage()
    _usage_tables()
    _clock_tables()
    _balancer_tables()


def _account_of_usage() -> None:
    """The account joins the key: a new table, since SQLite cannot change a key."""
    op.create_table(
        "usage_by_account",
        needed("session_id", TEXT),
        needed("account_id", NUMBER),
        needed("model", TEXT),
        needed("minute", NUMBER),
        *counters(),
        refers("usage_by_account", "session_id", "session.id"),
        refers("usage_by_account", "account_id", "account.id"),
        sa.PrimaryKeyConstraint(
            "session_id", "account_id", "model", "minute", name="pk_usage_by_account"
        ),
    )
    names = ", ".join(f"u.{name}" for name in COUNTERS)
    op.execute(
        "INSERT INTO usage_by_account SELECT u.session_id, s.account_id, u.model, u.minute, "
        f"{names} FROM usageminute u JOIN session s ON s.id = u.session_id"
    )
    op.drop_table("usageminute")
    op.rename_table("usage_by_account", "usageminute")
    op.create_index("ix_usageminute_minute", "usageminute", ["minute"])
    op.create_index("ix_usageminute_account_id", "usageminute", ["account_id"])


def _usage_tables() -> None:
    op.create_table(
        "sessionaccount",
        needed("session_id", TEXT),
        needed("first_seq", NUMBER),
        needed("account_id", NUMBER),
        needed("started_at", TIME),
        refers("sessionaccount", "session_id", "session.id"),
        refers("sessionaccount", "account_id", "account.id"),
        sa.PrimaryKeyConstraint("session_id", "first_seq", name="pk_sessionaccount"),
    )
    op.execute("INSERT INTO sessionaccount SELECT id, 0, account_id, created_at FROM session")
    op.create_table(
        "conversation",
        needed("id", TEXT),
        needed("session_id", TEXT),
        refers("conversation", "session_id", "session.id"),
        sa.PrimaryKeyConstraint("id", name="pk_conversation"),
    )
    op.execute(
        "INSERT INTO conversation SELECT conversation_id, min(id) FROM session "
        "WHERE conversation_id <> '' GROUP BY conversation_id"
    )
    op.create_table(
        "outsideminute",
        needed("account_id", NUMBER),
        needed("model", TEXT),
        needed("minute", NUMBER),
        *counters(),
        refers("outsideminute", "account_id", "account.id"),
        sa.PrimaryKeyConstraint("account_id", "model", "minute", name="pk_outsideminute"),
    )
    op.create_index("ix_outsideminute_minute", "outsideminute", ["minute"])
    op.create_table(
        "logfile",
        needed("account_id", NUMBER),
        needed("path", TEXT),
        needed("cursor", sa.LargeBinary()),
        refers("logfile", "account_id", "account.id"),
        sa.PrimaryKeyConstraint("account_id", "path", name="pk_logfile"),
    )
    op.create_table(
        "loggedcall",
        needed("id", NUMBER),
        needed("account_id", NUMBER),
        needed("record", sa.LargeBinary()),
        needed("is_ours", FLAG),
        refers("loggedcall", "account_id", "account.id"),
        sa.PrimaryKeyConstraint("id", name="pk_loggedcall"),
    )
    op.create_index("ix_loggedcall_account_id", "loggedcall", ["account_id"])
    op.create_table(
        "loggedname",
        needed("account_id", NUMBER),
        needed("name", TEXT),
        needed("call_id", NUMBER),
        refers("loggedname", "account_id", "account.id"),
        refers("loggedname", "call_id", "loggedcall.id"),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_loggedname"),
    )
    op.create_index("ix_loggedname_call_id", "loggedname", ["call_id"])


def _clock_tables() -> None:
    op.create_table(
        "quotaend",
        needed("account_id", NUMBER),
        needed("kind", TEXT),
        needed("ended_at", TIME),
        needed("used_percent", REAL),
        wanted("capacity_usd", REAL),
        refers("quotaend", "account_id", "account.id"),
        sa.PrimaryKeyConstraint("account_id", "kind", "ended_at", name="pk_quotaend"),
    )
    op.create_table(
        "agentclock",
        needed("agent_id", NUMBER),
        needed("state", TEXT),
        needed("since_ms", BIG),
        needed("born_ms", BIG),
        refers("agentclock", "agent_id", "agent.id"),
        sa.PrimaryKeyConstraint("agent_id", name="pk_agentclock"),
    )
    op.create_table(
        "agentminute",
        needed("agent_id", NUMBER),
        needed("minute", NUMBER),
        needed("state", TEXT),
        needed("milliseconds", NUMBER),
        refers("agentminute", "agent_id", "agent.id"),
        sa.PrimaryKeyConstraint("agent_id", "minute", "state", name="pk_agentminute"),
    )
    op.create_index("ix_agentminute_minute", "agentminute", ["minute"])
    rungs = ("capacity", "provisioned", "demanded", "unblocked", "placed", "useful")
    op.create_table(
        "ladderminute",
        needed("minute", NUMBER),
        *(needed(name, REAL) for name in rungs),
        needed("detail", JSON),
        sa.PrimaryKeyConstraint("minute", name="pk_ladderminute"),
    )


def _balancer_tables() -> None:
    table = "balancerdecision"
    op.create_table(
        table,
        needed("id", NUMBER),
        needed("at", TIME),
        needed("mode", TEXT),
        needed("action", TEXT),
        needed("state", TEXT),
        wanted("task_id", NUMBER),
        wanted("agent_id", NUMBER),
        needed("session_id", TEXT),
        wanted("from_account_id", NUMBER),
        wanted("to_account_id", NUMBER),
        needed("reason", TEXT),
        wanted("until_at", TIME),
        wanted("costs_usd", REAL),
        wanted("saves_hours", REAL),
        needed("weighed", JSON),
        wanted("settled_at", TIME),
        refers(table, "task_id", "task.id"),
        refers(table, "agent_id", "agent.id"),
        refers(table, "from_account_id", "account.id"),
        refers(table, "to_account_id", "account.id"),
        sa.PrimaryKeyConstraint("id", name="pk_balancerdecision"),
    )
    for name in ("at", "state", "task_id"):
        op.create_index(f"ix_{table}_{name}", table, [name])
    op.create_table(
        "preference",
        needed("key", TEXT),
        needed("value", JSON),
        sa.PrimaryKeyConstraint("key", name="pk_preference"),
    )


def downgrade() -> None:
    for table in (
        *("preference", "balancerdecision", "ladderminute", "agentminute", "agentclock"),
        *("quotaend", "loggedname", "loggedcall", "logfile", "outsideminute"),
        *("conversation", "sessionaccount"),
    ):
        op.drop_table(table)
    _usage_without_account()
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as batch:
            if table == "task":
                batch.drop_constraint("fk_task_wanted_account_id", type_="foreignkey")
            for name, _, _ in columns:
                batch.drop_column(name)


def _usage_without_account() -> None:
    op.create_table(
        "usage_before",
        needed("session_id", TEXT),
        needed("model", TEXT),
        needed("minute", NUMBER),
        *counters(),
        refers("usage_before", "session_id", "session.id"),
        sa.PrimaryKeyConstraint("session_id", "model", "minute", name="pk_usage_before"),
    )
    sums = ", ".join(f"sum({name})" for name in COUNTERS)
    op.execute(
        f"INSERT INTO usage_before SELECT session_id, model, minute, {sums} FROM usageminute "
        "GROUP BY session_id, model, minute"
    )
    op.drop_table("usageminute")
    op.rename_table("usage_before", "usageminute")
    op.create_index("ix_usageminute_minute", "usageminute", ["minute"])
