"""Alerts that come together are on the disk when the statement that takes them returns."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0015_firing_and_keeping.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0015_firing_and_keeping_down.sql")
