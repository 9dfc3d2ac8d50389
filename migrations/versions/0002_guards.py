"""What the database itself refuses or does: the audit log's immutability, the fence, the queue's rescue."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0002_guards.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0002_guards_down.sql")
