"""The audit log changes by what it announces itself, and whole results go before their transcripts."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0012_lawful_audit.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0012_lawful_audit_down.sql")
