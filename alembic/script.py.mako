"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}

The policy, for every migration (delete nothing of it, answer each point before you commit):
1. It works with the previous release's code as well: add first, remove one release later.
   A new column is nullable or has a server default; nothing is renamed in one step.
2. It is short: no long lock, no row-by-row loop over a big table. Data is moved in batches of
   1,000 rows in a migration of its own.
3. It goes down again: `downgrade` undoes `upgrade`, and tests/test_migrations.py runs both.
4. It runs on SQLite and on PostgreSQL: change tables inside `op.batch_alter_table`.
5. Constraints get names (`fk_<table>_<column>`, `uq_<table>_<column>`): an unnamed one can't be
   dropped in a batch.
6. It imports nothing of `app`: the models move on, a migration stays as it was.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
