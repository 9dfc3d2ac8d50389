"""Alerts that come together are taken together, each in a transaction of its own."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0014_firing_together.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0014_firing_together_down.sql")
