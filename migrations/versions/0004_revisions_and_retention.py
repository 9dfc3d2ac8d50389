"""Verdicts on knowledge as they come, one after another; and what removing old rows needs."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0004_revisions_and_retention.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0004_revisions_and_retention_down.sql")
