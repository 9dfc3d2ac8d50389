"""A message becomes a turn and a job in one round trip."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0008_accepting.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0008_accepting_down.sql")
