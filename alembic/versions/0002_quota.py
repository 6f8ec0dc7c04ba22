"""Quota windows: the newest reading of each, and a sample every five minutes.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-22

New tables only: the previous release does not know them and works as before.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def account_id(table: str) -> tuple[sa.Column[Any], sa.ForeignKeyConstraint]:
    column: sa.Column[Any] = sa.Column("account_id", sa.Integer(), nullable=False)
    name = f"fk_{table}_account_id"
    return column, sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=name)


def upgrade() -> None:
    op.create_table(
        "quotareading",
        *account_id("quotareading"),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("used_percent", sa.Float(), nullable=False),
        sa.Column("window_minutes", sa.Integer(), nullable=True),
        sa.Column("resets_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("refused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "kind", name="pk_quotareading"),
    )
    op.create_table(
        "quotasample",
        *account_id("quotasample"),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_percent", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "kind", "slot", name="pk_quotasample"),
    )


def downgrade() -> None:
    op.drop_table("quotasample")
    op.drop_table("quotareading")
