"""Which P1s of a storm people were called about, and ends of incidents that nobody tells of."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0007_calls_and_ends.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0007_calls_and_ends_down.sql")
