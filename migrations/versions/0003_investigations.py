"""Incidents that share an investigation, investigations with stages and storms, and their fence."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0003_investigations.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0003_investigations_down.sql")
