"""The audit log is searched by person, service, action and time, page by page."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0011_console.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0011_console_down.sql")
