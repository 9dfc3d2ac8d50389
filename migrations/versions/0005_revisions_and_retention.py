"""Verdicts on knowledge as they come, one after another; and what removing old rows needs."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0005_revisions_and_retention.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0005_revisions_and_retention_down.sql")
