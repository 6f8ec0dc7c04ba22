"""Merging: care and risk of merge requests, rounds, what was seen, batches, radar, contests.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-23

Every new column has a default. Overlaps are the radar's now; it computes them anew on start. Going
back, checks of batches are dropped, since a check had a merge request before.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT, NUMBER, REAL, FLAG = sa.String(), sa.Integer(), sa.Float(), sa.Boolean()
TIME, JSON = sa.DateTime(timezone=True), sa.JSON()

ADDED: dict[str, tuple[tuple[str, Any, str | None], ...]] = {  # table: (column, type, default)
    "task": (("label", TEXT, ""), ("care", TEXT, ""), ("contest_id", NUMBER, None)),
    "mergerequest": (
        ("after", JSON, "[]"),
        ("waits_for_check", FLAG, sa.false()),
        ("intent", TEXT, ""),
        ("care", TEXT, ""),
        ("care_reasons", JSON, "[]"),
        ("sizes", JSON, "{}"),
        ("risks", JSON, "[]"),
        ("languages", JSON, "{}"),
        ("areas", JSON, "[]"),
        ("pull_url", TEXT, ""),
    ),
    "check": (
        ("repository_id", NUMBER, "0"),
        ("batch_id", NUMBER, None),
        ("run", NUMBER, "1"),
        ("same_as_id", NUMBER, None),
    ),
    "landing": (("batch_id", NUMBER, None),),
    "decision": (("tree_sha", TEXT, ""), ("evidence", JSON, "{}")),
}
POINTS = (  # table, column, target
    ("task", "contest_id", "contest"),
    ("check", "repository_id", "repository"),
    ("check", "batch_id", "batch"),
    ("check", "same_as_id", "check"),
    ("landing", "batch_id", "batch"),
)
INDEXED = (
    ("task", "contest_id"),
    ("check", "repository_id"),
    ("check", "batch_id"),
    ("check", "head_sha"),
    ("landing", "batch_id"),
    ("decision", "subject"),
)


def needed(name: str, kind: Any, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, **more)


def wanted(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def refers(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}")


def indexes(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])


def upgrade() -> None:
    _batches()
    _contests()
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name, kind, default in columns:
                batch.add_column(
                    sa.Column(name, kind, nullable=default is None, server_default=default)
                )
            if table == "mergerequest":
                batch.drop_column("overlaps")
            if table == "check":
                batch.alter_column("merge_request_id", existing_type=NUMBER, nullable=True)
    op.execute(
        'UPDATE "check" SET repository_id = (SELECT m.repository_id FROM mergerequest m '
        'WHERE m.id = "check".merge_request_id)'
    )
    for table, column, target in POINTS:
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(f"fk_{table}_{column}", target, [column], ["id"])
    for table, column in INDEXED:
        indexes(table, column)
    _of_requests()
    op.execute(
        "INSERT INTO round (merge_request_id, number, head_sha, merge_base_sha, is_rewritten, why, "
        "created_at) SELECT id, round, head_sha, merge_base_sha, false, '', updated_at "
        "FROM mergerequest"
    )


def _batches() -> None:
    op.create_table(
        "batch",
        needed("id", NUMBER, primary_key=True),
        needed("repository_id", NUMBER),
        needed("base_branch", TEXT),
        needed("base_sha", TEXT),
        needed("kind", TEXT),
        *(needed(name, JSON) for name in ("members", "steps", "left")),
        *(needed(name, TEXT) for name in ("head_sha", "tree_sha", "state", "state_reason")),
        needed("good", NUMBER),
        wanted("bad", NUMBER),
        wanted("culprit_id", NUMBER),
        needed("created_at", TIME),
        wanted("ended_at", TIME),
        refers("batch", "repository_id", "repository"),
    )
    indexes("batch", "repository_id", "kind", "state")


def _contests() -> None:
    op.create_table(
        "contest",
        needed("id", NUMBER, primary_key=True),
        needed("repository_id", NUMBER),
        *(needed(name, TEXT) for name in ("title", "prompt", "state")),
        wanted("winner_id", NUMBER),
        needed("reason", TEXT),
        needed("created_at", TIME),
        wanted("decided_at", TIME),
        refers("contest", "repository_id", "repository"),
    )
    indexes("contest", "repository_id", "state")


def _of_requests() -> None:
    op.create_table(
        "round",
        needed("merge_request_id", NUMBER),
        needed("number", NUMBER),
        needed("head_sha", TEXT),
        needed("merge_base_sha", TEXT),
        needed("is_rewritten", FLAG),
        needed("why", TEXT),
        needed("created_at", TIME),
        refers("round", "merge_request_id", "mergerequest"),
        sa.PrimaryKeyConstraint("merge_request_id", "number", name="pk_round"),
    )
    op.create_table(
        "seenfile",
        needed("id", NUMBER, primary_key=True),
        needed("repository_id", NUMBER),
        *(needed(name, TEXT) for name in ("path", "old_blob", "new_blob")),
        needed("merge_request_id", NUMBER),
        *(needed(name, TEXT) for name in ("head_sha", "merge_base_sha")),
        needed("is_ticked", FLAG),
        needed("seen_at", TIME),
        refers("seenfile", "repository_id", "repository"),
        refers("seenfile", "merge_request_id", "mergerequest"),
        sa.UniqueConstraint("repository_id", "path", "old_blob", "new_blob", name="uq_seenfile"),
    )
    indexes("seenfile", "repository_id", "path", "merge_request_id")
    op.create_table(
        "radar",
        needed("repository_id", NUMBER),
        needed("base_branch", TEXT),
        *(needed(name, JSON) for name in ("members", "collisions", "uncovered")),
        needed("took_ms", REAL),
        needed("computed_at", TIME),
        refers("radar", "repository_id", "repository"),
        sa.PrimaryKeyConstraint("repository_id", "base_branch", name="pk_radar"),
    )
    op.create_table(
        "push",
        needed("id", NUMBER, primary_key=True),
        needed("repository_id", NUMBER),
        wanted("merge_request_id", NUMBER),
        *(needed(name, TEXT) for name in ("remote", "ref", "sha")),
        needed("opens_pull", FLAG),
        needed("state", TEXT),
        needed("note", TEXT),
        needed("created_at", TIME),
        wanted("done_at", TIME),
        refers("push", "repository_id", "repository"),
        refers("push", "merge_request_id", "mergerequest"),
    )
    indexes("push", "repository_id", "merge_request_id", "state")
    op.create_table(
        "outcome",
        needed("merge_request_id", NUMBER),
        needed("repository_id", NUMBER),
        wanted("agent_id", NUMBER),
        *(needed(name, TEXT) for name in ("driver", "model", "label", "language", "area")),
        needed("outcome", TEXT),
        needed("is_reverted", FLAG),
        needed("rounds", NUMBER),
        wanted("cost_usd", REAL),
        *(needed(name, NUMBER) for name in ("output_tokens", "additions", "deletions")),
        needed("decided_at", TIME),
        refers("outcome", "merge_request_id", "mergerequest"),
        refers("outcome", "repository_id", "repository"),
        refers("outcome", "agent_id", "agent"),
        sa.PrimaryKeyConstraint("merge_request_id", name="pk_outcome"),
    )
    indexes("outcome", "repository_id", "model")


def downgrade() -> None:
    for table in ("outcome", "push", "radar", "seenfile", "round"):
        op.drop_table(table)
    op.execute('DELETE FROM "check" WHERE merge_request_id IS NULL')
    for table, column in INDEXED:
        op.drop_index(f"ix_{table}_{column}", table)
    for table, columns in ADDED.items():
        with op.batch_alter_table(table) as batch:
            for owner, column, _ in POINTS:
                if owner == table:
                    batch.drop_constraint(f"fk_{table}_{column}", type_="foreignkey")
            for name, _, _ in columns:
                batch.drop_column(name)
            if table == "mergerequest":
                batch.add_column(sa.Column("overlaps", JSON, nullable=False, server_default="[]"))
            if table == "check":
                batch.alter_column("merge_request_id", existing_type=NUMBER, nullable=False)
    op.drop_table("contest")
    op.drop_table("batch")
